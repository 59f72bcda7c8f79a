"""Turn a checkpoint of the released PiCIE or MDC code into one of this package.

    python tools/model_converters/picie_official.py checkpoint.pth.tar picie.pth
    python tools/test.py configs/picie/picie_fpn_cocostuff_parity.py picie.pth

The file holds what a run of the config would have saved: backbone, neck, labeller and the prototypes of each view.
Class weights are not in released files and become ones. There are no fresh prototypes: tools/test.py fits them on the
training images, as published; to predict without those images set model.test_cfg.prototype_sets=[view1]. The file
starts supervised training as any checkpoint does (configs/finetune/README.md).

Names of the released model: modules/fpn.py and modules/backbone.py of github.com/janghyuncho/PiCIE.
"""
import argparse
import os.path as osp
import re
from collections import OrderedDict
from typing import List, Sequence

import torch

import mmseg_unsup  # noqa: F401
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.models.backbones import ResNet
from torch import Tensor

from mmseg_unsup.registry import DATASETS, MODELS
from mmseg_unsup.utils import load_config
from mmseg_unsup.utils.atomic import replacing, write_from_memory
from mmseg_unsup.hosts.safe_loading import load_safely, resolve_globals

CONFIG = osp.join(
    osp.dirname(osp.abspath(__file__)), '..', '..', 'configs', 'picie', 'picie_fpn_cocostuff_parity.py')
# released name -> ours; theirs count from the coarsest level, ours from the finest
LATERALS = {f'decoder.layer{4 - i}.': f'neck.laterals.{i}.' for i in range(4)}
# what a model makes anew, and parts that only train
NOT_NEEDED = re.compile(r'num_batches_tracked$|^over_heads\.|^classifiers\.')


def load_released(path: str, allow: Sequence[str] = ()) -> dict:
    """Read a file that was pickled, without running code from it.

    Tensors, plain values and ``argparse.Namespace`` pass; nothing else, whatever other packages have allowed before.

    Args:
        allow: further globals, ``module.name``, that the caller trusts.

    Raises:
        ValueError: the file names another global, or is no checkpoint.
    """
    allowed = [argparse.Namespace, *resolve_globals(allow, '--allow ')]
    return load_safely(path, 'cpu', allowed, 'If you trust the file, add --allow {name}')


def convert(checkpoint: dict, drop_bias: bool = False) -> 'OrderedDict[str, Tensor]':
    """A released checkpoint -> the state dict of :class:`mmseg_unsup.PiCIE`; one view for MDC, two for PiCIE.

    Raises:
        ValueError: the checkpoint lacks entries, or a classifier has a bias, which prototypes do not have.
    """
    lacking = [key for key in ('state_dict', 'classifier1_state_dict')
               if not isinstance(checkpoint, dict) or key not in checkpoint]
    if lacking:
        raise ValueError(f'not a checkpoint of the released PiCIE or MDC code: it has no {" and no ".join(lacking)}')
    state = OrderedDict()
    for key, value in _without_module(checkpoint['state_dict']).items():
        for released, ours in LATERALS.items():
            key = key.replace(released, ours) if key.startswith(released) else key
        state[key] = value
    for key in list(state):
        state[f'labeller.{key}'] = state[key]
    prototypes = torch.stack(_centres(checkpoint, drop_bias))
    state['decode_head.prototypes'] = prototypes
    state['decode_head.class_weights'] = prototypes.new_ones(prototypes.shape[:2])
    state['decode_head.fresh_prototypes'] = prototypes.new_zeros(0, prototypes.size(2))
    return state


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
    depth = _depth(state)
    if depth not in (None, cfg.model.backbone.depth):
        raise ValueError(f'the checkpoint holds a ResNet-{depth}, but the config builds a '
                         f'ResNet-{cfg.model.backbone.depth}: give a --config with model.backbone.depth={depth}')
    head, (views, clusters, _) = cfg.model.decode_head, state['decode_head.prototypes'].shape
    if views != head.get('num_views', 2):
        raise ValueError(f'the checkpoint has {views} classifier{"s"[:views > 1]} (PiCIE trains with two views, MDC '
                         f'with one), but the config is for {head.get("num_views", 2)} views: give a --config with '
                         f'model.decode_head.num_views={views}')
    if clusters != head.n_clusters:
        raise ValueError(f'the checkpoint has {clusters} clusters, but the config is for {head.n_clusters}: give a '
                         f'--config with n_clusters={clusters}')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    expected = MODELS.build(cfg.model).state_dict()
    missing = [key for key in expected if key not in state and not NOT_NEEDED.search(key)]
    unknown = [key for key in state if key not in expected]
    if missing or unknown:
        raise ValueError(f'the checkpoint does not fit the model of the config; missing: {missing[:3] or "none"}, '
                         f'unknown: {unknown[:3] or "none"}')
    for key, value in state.items():
        if value.shape != expected[key].shape and not key.endswith('fresh_prototypes'):
            raise ValueError(f'{key} has shape {tuple(value.shape)} in the checkpoint, but '
                             f'{tuple(expected[key].shape)} in the model of the config')
    n_tensors = sum(key.startswith('backbone.') for key in state)
    return f'ResNet-{cfg.model.backbone.depth} ({n_tensors} tensors), {views} x {clusters} prototypes'


def _depth(state: dict):
    """Depth of a ResNet by its blocks, None where there is no such ResNet."""
    blocks = tuple(
        len({key.split('.')[2] for key in state if key.startswith(f'backbone.layer{i}.')}) for i in range(1, 5))
    expansion = 4 if 'backbone.layer1.0.conv3.weight' in state else 1
    for depth, (block, stages) in ResNet.arch_settings.items():
        if stages == blocks and block.expansion == expansion:
            return depth
    return None


def meta_of(cfg: Config, source: str, epoch: int) -> dict:
    """What mmengine writes beside the weights, as far as inference reads it."""
    dataset = cfg.test_dataloader.dataset
    info = {**getattr(DATASETS.get(dataset.type), 'METAINFO', {}), **dataset.get('metainfo', {})}
    return dict(epoch=epoch, source=osp.basename(source), cfg=cfg.pretty_text, dataset_meta=info)


def save_atomically(data: dict, path: str, force: bool = False) -> None:
    """Write a new file beside ``path``, then rename it.

    Raises:
        FileExistsError: ``path`` is there and ``force`` is off.
    """
    refuse_existing(path, force)
    with replacing(path) as part:
        write_from_memory(part, lambda file: torch.save(data, file))
        refuse_existing(path, force)


def refuse_existing(path: str, force: bool) -> None:
    if osp.lexists(path) and not force:
        raise FileExistsError(f'{path} is there already: choose another name, or replace it with --force')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='IN', help='checkpoint of the released code, .pth.tar')
    parser.add_argument('target', metavar='OUT', help='file to write')
    parser.add_argument('--config', default=CONFIG, help='what to convert for (default: %(default)s)')
    parser.add_argument('--force', action='store_true', help='replace OUT if it is there')
    parser.add_argument('--drop-bias', action='store_true', help='convert a classifier with a bias, without it')
    parser.add_argument('--allow', nargs='+', default=[], metavar='MODULE.NAME',
                        help='globals beside argparse.Namespace that the file may load; they can run code')
    args = parser.parse_args()
    refuse_existing(args.target, args.force)
    cfg = load_config(args.config)
    checkpoint = load_released(args.source, args.allow)
    state = convert(checkpoint, args.drop_bias)
    holds = check_fits(state, cfg)
    epoch = int(checkpoint.get('epoch', 0))
    save_atomically(dict(meta=meta_of(cfg, args.source, epoch), state_dict=state), args.target, args.force)
    print(f'wrote {args.target}: {holds}, epoch {epoch}')


if __name__ == '__main__':
    main()
