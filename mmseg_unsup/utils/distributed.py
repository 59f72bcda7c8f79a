"""Distributed runs on machines without a GPU."""
import torch
import torch.distributed as dist
from mmengine.config import Config


def prepare_cpu_launch(cfg: Config) -> None:
    """Make ``--launcher pytorch`` work without a GPU, which mmengine refuses in three ways; changes ``cfg`` in place.

    mmengine selects a CUDA device before it opens the process group, passes a device id to the model wrapper, and
    builds ``SyncBN``, which only works on GPUs. So: the group is opened here with gloo, the wrapper gets no device id,
    and ``SyncBN`` becomes ``BN`` whose buffers are averaged over ranks after each epoch. Does nothing where there is a
    GPU or no launcher.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    if not dist.is_initialized():
        dist.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    _replace_type(cfg.model, 'SyncBN', 'BN')
    cfg.default_hooks.sync_buffers = dict(type='SyncBuffersHook')


def _replace_type(node, old: str, new: str) -> None:
    """Rename a ``type`` everywhere below a config node."""
    if isinstance(node, dict):
        if node.get('type') == old:
            node['type'] = new
        for child in node.values():
            _replace_type(child, old, new)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _replace_type(child, old, new)
