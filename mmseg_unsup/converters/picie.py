"""Checkpoints of the released PiCIE and MDC code, as those of this package.

Names of the released model: modules/fpn.py and modules/backbone.py of github.com/janghyuncho/PiCIE.
"""
import re
from collections import OrderedDict
from typing import List

from mmengine.config import Config
from torch import Tensor

from ..registry import DATASETS
from ..weights import resnet_depth
from .files import check_tensors

# what a model makes anew, and parts that only train
NOT_NEEDED = re.compile(r'num_batches_tracked$|\.over\d+_|^classifiers\.')
VIEWS = [f'decode_head.clusters.view{v}' for v in (1, 2)]


def convert(checkpoint: dict, drop_bias: bool = False) -> 'OrderedDict[str, Tensor]':
    """A released checkpoint -> the state dict of :class:`mmseg_unsup.PiCIE`; one view for MDC, two for PiCIE.

    Raises:
        ValueError: the checkpoint lacks entries, or a classifier has a bias, which prototypes do not have.
    """
    lacking = [key for key in ('state_dict', 'classifier1_state_dict')
               if not isinstance(checkpoint, dict) or key not in checkpoint]
    if lacking:
        raise ValueError(f'not a checkpoint of the released PiCIE or MDC code: it has no {" and no ".join(lacking)}')
    state = OrderedDict((_rename(key), value) for key, value in _without_module(checkpoint['state_dict']).items())
    state.update([(f'target_generator.{key}', value) for key, value in state.items()])
    centres = _centres(checkpoint, drop_bias)
    state['decode_head.clusters.fresh.weight'] = centres[0].new_zeros(0, centres[0].size(1))
    for name, of_view in zip(VIEWS, centres):
        state[f'{name}.weight'], state[f'{name}.class_weights'] = of_view, of_view.new_ones(len(of_view))
    return state


def _rename(key: str) -> str:
    """Released name -> ours; they count levels from the coarsest one, we from the finest."""
    return re.sub(r'^decoder\.layer([1-4])\.', lambda found: f'neck.laterals.{4 - int(found[1])}.', key)


def _centres(checkpoint: dict, drop_bias: bool) -> List[Tensor]:
    """(K, C) weights of the classifiers that the checkpoint has, in the order of the views."""
    centres = []
    for name in ('classifier1_state_dict', 'classifier2_state_dict'):
        if name not in checkpoint:
            continue
        classifier = _without_module(checkpoint[name])
        if 'weight' not in classifier:
            raise ValueError(f'{name} has no weight but {sorted(classifier)}')
        if not drop_bias and 'bias' in classifier and classifier['bias'].any():
            raise ValueError(f'{name} has a bias, as the learnt classifier of MDC does, and prototypes have none: '
                             '--drop-bias leaves it out, which changes the cluster maps')
        centres.append(classifier['weight'].flatten(1))
    if len({centre.shape for centre in centres}) > 1:
        raise ValueError(f'the classifiers of the views differ in shape: {[tuple(x.shape) for x in centres]}')
    return centres


def _without_module(state: dict) -> dict:
    return {key.removeprefix('module.'): value for key, value in state.items()}


def check_fits(state: dict, cfg: Config) -> str:
    """Compare a converted state dict with the model of a config; a line on what it holds.

    Raises:
        ValueError: depth, views, clusters, missing, unknown or misshaped tensors, in this order.
    """
    depth = resnet_depth({key.removeprefix('backbone.'): value for key, value in state.items()})
    if depth not in (None, cfg.model.backbone.depth):
        raise ValueError(f'the checkpoint holds a ResNet-{depth}, but the config builds a '
                         f'ResNet-{cfg.model.backbone.depth}: give a --config with model.backbone.depth={depth}')
    centres = [state[f'{name}.weight'] for name in VIEWS if f'{name}.weight' in state]
    head, views, clusters = cfg.model.decode_head, len(centres), len(centres[0])
    expected = 1 if cfg.model.type == 'mmseg_unsup.MDC' else 2
    if views != expected:
        raise ValueError(f'the checkpoint has {views} classifier{"s"[:views > 1]} (PiCIE trains with two views, MDC '
                         f'with one), but the config is for {expected} views: give a --config of the other method')
    if clusters != head.n_clusters:
        raise ValueError(f'the checkpoint has {clusters} clusters, but the config is for {head.n_clusters}: give a '
                         f'--config with n_clusters={clusters}')
    check_tensors(state, cfg, NOT_NEEDED, any_shape='fresh.weight')
    n_tensors = sum(key.startswith('backbone.') for key in state)
    return f'ResNet-{cfg.model.backbone.depth} ({n_tensors} tensors), {views} x {clusters} prototypes'


def dataset_meta(cfg: Config) -> dict:
    """What a run of the config would say about its classes."""
    dataset = cfg.test_dataloader.dataset
    return {**getattr(DATASETS.get(dataset.type), 'METAINFO', {}), **dataset.get('metainfo', {})}
