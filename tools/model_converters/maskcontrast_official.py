"""Turn a checkpoint of the released MaskContrast code into one of this package.

    python tools/model_converters/maskcontrast_official.py VOCSegmentation_unsupervised.pth maskcontrast.pth
    python tools/train.py configs/maskcontrast/maskcontrast_deeplabv3_voc.py --cfg-options load_from=maskcontrast.pth

The file holds what a run of the config would have saved: backbone and head, the key branch, and the queue. Where the
checkpoint has no key branch, it is a copy of the query branch; where it has no queue, training starts from noise. To
start supervised training from it, set model.backbone.init_cfg to type 'Pretrained' with prefix 'backbone.'.

The released checkpoints are under CC BY-NC 4.0: not for commercial use, converted or not. Expected names:
``module.model_q.`` and ``module.model_k.`` before ``backbone.``, ``decoder.0`` to ``decoder.2`` (torchvision's
DeepLabV3 head without its classifier), ``head.`` and ``classification_head.``; ``module.queue`` (D, K).
"""
import argparse
import os.path as osp
import re
from collections import OrderedDict
from typing import Optional

import mmseg_unsup  # noqa: F401
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from picie_official import load_released, refuse_existing, save_atomically  # beside this script
from torch import Tensor

from mmseg_unsup.datasets import MaskedImageDataset
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils import load_config

CONFIG = osp.join(osp.dirname(osp.abspath(__file__)), '..', '..', 'configs', 'maskcontrast',
                  'maskcontrast_deeplabv3_voc.py')
_HEAD = 'decode_head.'
# released name -> ours, inside a branch
NAMES = (
    (r'backbone\.(?!fc\.)(.+)', r'backbone.\1'),
    (r'decoder\.0\.convs\.([0-3])\.0\.(.+)', _HEAD + r'aspp.branches.\1.conv.\2'),
    (r'decoder\.0\.convs\.([0-3])\.1\.(.+)', _HEAD + r'aspp.branches.\1.bn.\2'),
    (r'decoder\.0\.convs\.4\.1\.(.+)', _HEAD + r'aspp.image_mean.conv.\1'),
    (r'decoder\.0\.convs\.4\.2\.(.+)', _HEAD + r'aspp.image_mean.bn.\1'),
    (r'decoder\.0\.project\.0\.(.+)', _HEAD + r'aspp.project.conv.\1'),
    (r'decoder\.0\.project\.1\.(.+)', _HEAD + r'aspp.project.bn.\1'),
    (r'decoder\.1\.(.+)', _HEAD + r'smooth.conv.\1'),
    (r'decoder\.2\.(.+)', _HEAD + r'smooth.bn.\1'),
    (r'head\.(weight|bias)', _HEAD + r'embedding.\1'),
    (r'classification_head\.(weight)', _HEAD + r'saliency.\1'),
)
BRANCHES = (('model_q.', ''), ('model_k.', 'key_branch.module.'))
# what a model makes anew
NOT_NEEDED = re.compile(r'num_batches_tracked$|^queue\.|^object_')


def convert(checkpoint: dict) -> 'OrderedDict[str, Tensor]':
    """A released checkpoint -> the state dict of :class:`mmseg_unsup.MaskContrast`.

    Raises:
        ValueError: it is no such checkpoint, or holds a tensor of an unknown name.
    """
    released = _state_dict(checkpoint)
    state = OrderedDict()
    for key, value in released.items():
        for branch, prefix in BRANCHES:
            if key.startswith(branch) and not key.startswith(f'{branch}backbone.fc.'):
                state[prefix + _rename(key[len(branch):])] = value
    has_key = any(key.startswith('model_k.') for key in released)
    if not has_key:
        state.update([(f'key_branch.module.{key}', value.clone()) for key, value in list(state.items())])
    state['key_branch.steps'] = torch.tensor(int(has_key))  # with 0 training would start from a copy
    if 'queue' in released:
        state['queue.prototypes'] = released['queue'].t().contiguous()
        state['queue.pointer'] = released.get('queue_ptr', torch.zeros(1)).reshape(()).long()
    return state


def _state_dict(checkpoint: dict) -> dict:
    """The weights without ``module.``, wherever the file keeps them."""
    for name in ('model', 'state_dict'):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(name), dict):
            checkpoint = checkpoint[name]
            break
    if isinstance(checkpoint, dict):
        released = {str(key).removeprefix('module.'): value for key, value in checkpoint.items()}
        if any(key.startswith('model_q.') for key in released):
            return released
    raise ValueError('not a checkpoint of the released MaskContrast code: no tensor is named module.model_q.*')


def _rename(key: str) -> str:
    for pattern, ours in NAMES:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, ours, key)
    raise ValueError(f'the checkpoint holds model_q.{key}, a name that the released MaskContrast code does not have')


def check_fits(state: dict, cfg: Config) -> str:
    """Compare a converted state dict with the model of a config; a line on what it holds.

    Raises:
        ValueError: length of the queue, missing, unknown or misshaped tensors, in this order.
    """
    length = len(state.get('queue.prototypes', ()))
    if length and length != cfg.model.queue_length:
        raise ValueError(f'the checkpoint has a queue of {length} prototypes, but the config one of '
                         f'{cfg.model.queue_length}: give a --config with model.queue_length={length}')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    expected = MODELS.build(cfg.model).state_dict()
    missing = [key for key in expected if key not in state and not NOT_NEEDED.search(key)]
    unknown = [key for key in state if key not in expected]
    if missing or unknown:
        raise ValueError(f'the checkpoint does not fit the model of the config (depth {cfg.model.backbone.depth}); '
                         f'missing: {missing[:3] or "none"}, unknown: {unknown[:3] or "none"}')
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise ValueError(f'{key} has shape {tuple(value.shape)} in the checkpoint, but '
                             f'{tuple(expected[key].shape)} in the model of the config')
    n_backbone, n_head = (sum(key.startswith(prefix) for key in state) for prefix in ('backbone.', _HEAD))
    key_branch = 'its key branch' if state['key_branch.steps'] else 'no key branch (copied)'
    return (f'ResNet-{cfg.model.backbone.depth} ({n_backbone} tensors), head ({n_head}), {key_branch}, '
            f'{f"queue of {length}" if length else "no queue"}')


def epoch_of(checkpoint: dict) -> Optional[int]:
    epoch = checkpoint.get('epoch')
    return epoch if isinstance(epoch, int) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='IN', help='checkpoint of the released code')
    parser.add_argument('target', metavar='OUT', help='file to write')
    parser.add_argument('--config', default=CONFIG, help='what to convert for (default: %(default)s)')
    parser.add_argument('--force', action='store_true', help='replace OUT if it is there')
    parser.add_argument('--allow', nargs='+', default=[], metavar='MODULE.NAME',
                        help='globals beside argparse.Namespace that the file may load; they can run code')
    args = parser.parse_args()
    refuse_existing(args.target, args.force)
    cfg = load_config(args.config)
    checkpoint = load_released(args.source, args.allow)
    state = convert(checkpoint)
    holds = check_fits(state, cfg)
    meta = dict(epoch=epoch_of(checkpoint) or 0, source=osp.basename(args.source), cfg=cfg.pretty_text,
                dataset_meta=MaskedImageDataset.METAINFO)
    save_atomically(dict(meta=meta, state_dict=state), args.target, args.force)
    print(f'wrote {args.target}: {holds}, epoch {meta["epoch"]}')


if __name__ == '__main__':
    main()
