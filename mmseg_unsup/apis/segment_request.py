"""What is asked of :func:`mmseg_unsup.segment_folder`: whether it can be, and the config that it makes."""
import os
import os.path as osp
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Dict, Optional, Sequence

import torch
from mmengine.config import Config

from ..utils.checks import check_choice, check_count
from ..utils.config import find_config, load_config, reference_of
from ..weights import describe_network, is_transformer, known_network, load_network_config, read_part
from .folder_request import FolderRequest
from .loading import with_refine
from .prior_configs import build_prior, prior_config, sees_features

# method -> its folder configs, the small one for machines without a GPU and the other
CONFIGS = dict(
    maskcontrast=('maskcontrast/maskcontrast_deeplabv3_folder_r18.py', 'maskcontrast/maskcontrast_deeplabv3_folder.py'),
    picie=('picie/picie_fpn_folder_small.py', 'picie/picie_fpn_folder.py'),
    features=('features/features_r18_folder.py', ) * 2)
TRANSFORMER_CONFIG = 'features/features_vit_folder.py'  # that of features with the weights of a transformer
OBJECTS = ('image', 'components')
GALLERY = 'gallery.html'  # in the folder of results
EPOCHS = 'train_cfg.max_epochs'
MAX_CLUSTERS = 2**15 - 1  # ids are int16


@dataclass(kw_only=True)
class Request(FolderRequest):
    """The arguments of :func:`mmseg_unsup.segment_folder`, each checked on its own; what is None follows from the
    network of ``init``."""
    pictures = ('masks', 'train', 'maps', 'overlays')
    free = ('out', 'workers', 'epochs', 'options', 'examples', 'classes')

    method: Optional[str] = None
    n_clusters: Optional[int] = None
    prior: str = 'rbd'
    objects: str = 'image'
    config: Optional[str] = None
    init: Optional[str] = None
    epochs: Optional[int] = None
    workers: Optional[int] = None
    examples: Optional[str] = None
    classes: Optional[Sequence[str]] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('method', self.method or 'features', CONFIGS)
        check_choice('choice of objects', self.objects, OBJECTS)
        self.workers = self.workers or os.cpu_count()
        check_count('workers', self.workers)
        self.init = None if self.init is None else _absolute(str(self.init))
        self._choose_method()
        self.examples = None if self.examples is None else os.fspath(self.examples)
        if self.classes is not None and self.examples is None:
            raise ValueError(f'--classes {" ".join(self.classes)} are the names of what label maps show, and there are '
                             'none: give their folder (--examples LABELLED)')

    def _choose_method(self) -> None:
        """Raise ValueError if the weights are those of a network that the method has no config for."""
        if self.config is not None:
            self.config = osp.abspath(find_config(self.config))
            self.method = self.method or _method_of(self.config)
            return
        weights = self.options.get('init', self.init)
        network = known_network(read_part(weights)) if osp.isfile(str(weights)) else {}
        has_transformer = is_transformer(network)
        self.method = self.method or ('features' if has_transformer else 'maskcontrast')
        if has_transformer and self.trains:
            raise ValueError(f'--init {weights} holds {describe_network(network)}, but --method {self.method} trains a '
                             'ResNet: leave --method out, or give --method features; masks that a ResNet is trained '
                             'with are made by mmseg-unsup priors --weights')
        self.config = osp.abspath(find_config(default_config(self.method, has_transformer)))

    @property
    def finds_objects(self) -> bool:
        """Whether clusters are of objects, and 0 is background."""
        return self.method == 'maskcontrast'

    @property
    def trains(self) -> bool:
        """Whether a network is trained, and not only read."""
        return self.method != 'features'

    def resolved(self) -> Dict[str, Any]:
        """See :class:`FolderRequest`; the config is the same in any place of the package."""
        options = {key: value for key, value in self.options.items() if key != EPOCHS}
        return dict(super().resolved(), config=reference_of(self.config), cfg_options=options)


def _absolute(init: str) -> str:
    """A file of weights by its absolute path, as the model is used in other folders too; all else as it is."""
    path = osp.abspath(osp.expanduser(init))
    return path if osp.isfile(path) else init


def _method_of(config: str) -> str:
    """Of the model of a config; PiCIE stands for all that train features of pixels."""
    model = load_config(config).get('model') or {}
    return {'mmseg_unsup.MaskContrast': 'maskcontrast', 'mmseg_unsup.FrozenSegmentor': 'features'}.get(
        model.get('type'), 'picie')


def default_config(method: str, has_transformer: bool = False) -> str:
    """The folder config of a method; a small one where there is no GPU."""
    name = TRANSFORMER_CONFIG if has_transformer else CONFIGS[method][torch.cuda.is_available()]
    return f'mmseg_unsup::{name}'


def read_settings(request: Request) -> Config:
    """The config with all that is asked for."""
    options = dict(data_root=request.images, on_error=request.on_error)
    if request.n_clusters is not None:
        options['n_clusters'] = request.n_clusters
    if request.finds_objects:
        options.update({'mask_root': osp.abspath(request.path('masks')), 'objects': request.objects,
                        'train_dataloader.dataset.dataset.missing': 'skip'})
    if request.init is not None:
        options['init'] = None if request.init == 'none' else request.init
    if request.epochs is not None and request.trains:
        options[EPOCHS] = request.epochs
    return load_network_config(request.config, with_refine({**options, **request.options}, request.refine))


def check_settings(request: Request, cfg: Config, paths: Sequence[str]) -> None:
    """Raise ValueError for what a run of hours over the images of these paths would end with."""
    _check_clusters(request, len(paths))
    if request.finds_objects:
        build_prior(prior_of(request, cfg))
    _check_training(request, cfg)
    if request.init not in (None, 'none') and '://' not in request.init and not osp.isfile(request.init):
        raise FileNotFoundError(f'there is no file of weights {request.init!r}: give its path, or --init none to start '
                                'from random weights')


def _check_training(request: Request, cfg: Config) -> None:
    if not request.trains:
        given = [name for name in ('epochs', 'amp', 'compile') if getattr(request, name)]
        if given:
            raise ValueError(f'--{given[0]} is of a training, and --method {request.method} has none: leave it out')
        return
    epochs = n_epochs(cfg)
    if not isinstance(epochs, Integral) or epochs < 1:
        raise ValueError(f'the training has {epochs} epochs: give a whole number of at least 1')


def n_epochs(cfg: Config) -> int:
    """Of the training; 0 where nothing trains."""
    return (cfg.get('train_cfg') or {}).get('max_epochs', 0)


def prior_of(request: Request, cfg: Config) -> dict:
    """Config of the prior of the masks; one that sees features has the weights from which the training starts."""
    if not sees_features(request.prior):
        return prior_config(request.prior)
    if cfg.get('init') is None:
        raise ValueError(f'the prior {request.prior} sees the features of the weights to start from, but --init says '
                         'that there are none: give --init FILE, or --prior rbd')
    return prior_config(request.prior, None, cfg.init, cfg.model.backbone.get('style', 'pytorch'))


def _check_clusters(request: Request, n_images: int) -> None:
    number = request.n_clusters
    least, most = (1, MAX_CLUSTERS - 1) if request.finds_objects else (2, MAX_CLUSTERS)
    if request.finds_objects and request.objects == 'image':
        most = min(most, n_images)  # objects
    if number is not None and not (isinstance(number, Integral) and least <= number <= most):
        raise ValueError(f'--n-clusters {number} cannot be found in {n_images} images by {request.method}: give a '
                         f'whole number from {least} to {most}')
