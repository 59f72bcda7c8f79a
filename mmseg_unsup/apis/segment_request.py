"""What is asked of :func:`mmseg_unsup.segment_folder`: whether it can be, and the config that it makes."""
import json
import os
import os.path as osp
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Dict, Optional, Sequence

import torch
from mmengine.config import Config

from ..datasets.errors import ON_ERROR
from ..datasets.image_files import check_folder, check_output
from ..functional.crf import METHODS
from ..utils.checks import check_choice, check_count
from ..utils.config import find_config, load_config, reference_of
from ..utils.paths import path_remedy, printable
from .loading import with_refine
from .prior_configs import build_prior, prior_config, sees_features

# method -> its folder configs, the small one for machines without a GPU and the other
CONFIGS = dict(
    maskcontrast=('maskcontrast/maskcontrast_deeplabv3_folder_r18.py', 'maskcontrast/maskcontrast_deeplabv3_folder.py'),
    picie=('picie/picie_fpn_folder_small.py', 'picie/picie_fpn_folder.py'),
    features=('features/features_r18_folder.py', ) * 2)
OBJECTS = ('image', 'components')
FOLDERS = ('masks', 'train', 'maps', 'overlays')  # below the folder of results
GALLERY = 'gallery.html'  # beside them
EPOCHS = 'train_cfg.max_epochs'
MAX_CLUSTERS = 2**15 - 1  # ids are int16
# what does not change the result
_FREE = ('out', 'workers', 'epochs', 'options', 'examples', 'classes')  # the last two are recorded by their content


@dataclass
class Request:
    """The arguments of :func:`mmseg_unsup.segment_folder`, each checked on its own; ``config`` becomes a path."""
    images: str
    out: str
    method: str = 'maskcontrast'
    n_clusters: Optional[int] = None
    prior: str = 'rbd'
    objects: str = 'image'
    config: Optional[str] = None
    init: Optional[str] = None
    epochs: Optional[int] = None
    workers: Optional[int] = None
    on_error: str = 'raise'
    options: Dict[str, Any] = field(default_factory=dict)
    amp: bool = False
    compile: bool = False
    examples: Optional[str] = None
    classes: Optional[Sequence[str]] = None
    refine: Optional[str] = None

    def __post_init__(self) -> None:
        check_choice('method', self.method, CONFIGS)
        check_choice('choice of objects', self.objects, OBJECTS)
        check_choice('on_error', self.on_error, ON_ERROR)
        check_choice('refinement', self.refine or 'none', ('none', *METHODS))
        self.workers = self.workers or os.cpu_count()
        check_count('workers', self.workers)
        self.images, self.out = osp.abspath(self.images), osp.normpath(self.out)
        check_folder(self.images, path_remedy(self.images))
        self.init = None if self.init is None else str(self.init)
        self.config = osp.abspath(find_config(self.config or default_config(self.method)))
        self.options = self.options or {}
        self.examples = None if self.examples is None else os.fspath(self.examples)
        if self.classes is not None and self.examples is None:
            raise ValueError(f'--classes {" ".join(self.classes)} are the names of what label maps show, and there are '
                             'none: give their folder (--examples LABELLED)')

    @property
    def finds_objects(self) -> bool:
        """Whether clusters are of objects, and 0 is background."""
        return self.method == 'maskcontrast'

    @property
    def trains(self) -> bool:
        """Whether a network is trained, and not only read."""
        return self.method != 'features'

    def path(self, *parts: str) -> str:
        """The path of something that is written."""
        return osp.join(self.out, *parts)

    def recorded(self) -> Dict[str, Any]:
        """What must be the same in every call for one folder, as plain values; of any place of the package."""
        settings = {key: value for key, value in vars(self).items() if key not in _FREE}
        options = {key: value for key, value in self.options.items() if key != EPOCHS}
        settings.update(images=osp.realpath(self.images), config=reference_of(self.config), cfg_options=options)
        return json.loads(json.dumps(settings, default=str))


def default_config(method: str) -> str:
    """The folder config of a method; a small one where there is no GPU."""
    return f'mmseg_unsup::{CONFIGS[method][torch.cuda.is_available()]}'


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
    return load_config(request.config, with_refine({**options, **request.options}, request.refine))


def check_settings(request: Request, cfg: Config, paths: Sequence[str]) -> None:
    """Raise ValueError for what a run of hours over the images of these paths would end with."""
    _check_clusters(request, len(paths))
    if request.finds_objects:
        build_prior(prior_of(request, cfg))
    _check_training(request, cfg)
    if request.init not in (None, 'none') and '://' not in request.init and not osp.isfile(request.init):
        raise FileNotFoundError(f'there is no file of weights {request.init!r}: give its path, or --init none to start '
                                'from random weights')
    if osp.exists(request.out) and not osp.isdir(request.out):
        raise ValueError(f'--out {request.out} is a file: give a folder')
    if printable(request.out) != request.out:  # torch writes no such file
        raise ValueError(f'the name --out {printable(request.out)} is no UTF-8: give another')
    for folder in FOLDERS:
        check_output(request.path(folder), request.images)


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
