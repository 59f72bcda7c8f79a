"""Runs that are stopped somewhere and continued, and what must be equal at the end."""
import os
import random
import signal
from pathlib import Path

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_unsup.utils import preemption
from mmseg_unsup.registry import HOOKS
from ..test_datasets.test_masked_images import write_masks
from .test_mask_contrast_training import tiny_config as masked_config
from .tiny import tiny_codes_config, tiny_config

# what turns the tiny PiCIE configuration into each method; a new one is tested by an entry here
METHODS = dict(
    picie=dict(model__target_generator__epochs=1.5, model__over_clustering=[('2x', 1.)]),
    mdc=dict(
        model__type='mmseg_unsup.MDC',
        train_dataloader__dataset__pipeline__2__num_views=1),
    iic=dict(
        model__type='mmseg_unsup.IIC',
        model__num_sub_heads=2,
        model__over_clustering=[('2x', 1.)],
        model__max_displacement=1),
    maskcontrast=dict(
        size=32, eval_size=32, model__decode_head__saliency_threshold=-10., train_dataloader__batch_size=2,
        probe_dataloader__batch_size=3, probe_dataloader__num_workers=0, val_dataloader__batch_size=3,
        val_dataloader__num_workers=0, test_dataloader__num_workers=0, n_clusters=3),
    stego=dict(train_dataloader__dataset__n_neighbours=3, model__n_points=4),
    cause=dict(model__n_codes=8, model__projection_channels=8, model__bank_length=3, default_hooks__codebook__steps=5))
# methods that learn codes of frozen features: small ones of METHOD_r18_camvid.py
CODES = ('stego', 'cause')
# methods that cluster before an epoch
CLUSTERING = ('picie', 'mdc')
EPOCHS = 2
# keys of a checkpoint that say when and where it was made
OF_THE_PROCESS = ('time', 'data_time', 'memory', 'cfg', 'experiment_name', 'last_ckpt', 'phase_seconds',
                  'mmengine_version')


@HOOKS.register_module()
class NoiseHook(Hook):
    """Makes every step depend on the three global generators, and ranks differ as they do without ``SyncBN``.

    A frozen backbone must stay as it is: the noise then goes into a buffer of its own.
    """

    def before_run(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        if getattr(model.backbone, 'is_frozen', False):
            model.neck.register_buffer('noise', torch.zeros(1))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = getattr(runner.model, 'module', runner.model)
        noise = torch.rand(()) + random.random() + float(np.random.rand())
        buffer = model.neck.noise if hasattr(model.neck, 'noise') else model.backbone.bn1.running_mean
        buffer.add_(0.1 * noise)


def resumable_config(method: str, root: str, work_dir, **options):
    """Two epochs of two steps or more, a score after each, a schedule, and the noise above."""
    options = {
        'train_cfg__val_interval': 1, 'train_dataloader__batch_size': 2,
        'default_hooks__checkpoint__max_keep_ckpts': -1, 'default_hooks__noise': dict(type='mmseg_unsup.NoiseHook'),
        **METHODS[method], **options}
    if method == 'maskcontrast':
        masks = Path(f'{root}_masks')
        if not masks.is_dir():
            write_masks(masks, Path(root))
        cfg = masked_config((root, str(masks)), work_dir, EPOCHS, out=str(work_dir / 'maps'), **options)
    elif method in CODES:
        cfg = tiny_codes_config(method, root, work_dir, max_epochs=EPOCHS, **options)
    else:
        cfg = tiny_config(root, work_dir, max_epochs=EPOCHS, **options)
    if method == 'iic':
        for key in ('target_generator', 'temperature'):
            cfg.model.pop(key, None)
        cfg.default_hooks.pop('clustering')
    cfg.param_scheduler = [dict(type='PolyLR', by_epoch=False, power=0.9, begin=0, end=100),
                           dict(type='ExponentialLR', by_epoch=True, gamma=0.5)]
    return cfg


def count_batches(runner: Runner, at=None, action=None) -> list:
    """Note the phase of every batch that the model gets; call ``action`` at number ``at``, or at every one of phase
    ``at``."""
    model, seen = getattr(runner.model, 'module', runner.model), []

    def note(module, inputs):
        hub = runner.message_hub
        seen.append((hub.get_info('loop_stage', None), runner.epoch, model.training))
        if at in (len(seen) - 1, seen[-1]):
            action()

    model.data_preprocessor.register_forward_pre_hook(note)
    return seen


def moments(phases: list) -> dict:
    """The number of a batch inside each kind of pass, by name; no name for no pass.

    ``in_fit``: the fresh k-means, or the clustering of objects, that ends the first epoch.
    """
    of = lambda *phase: [i for i, seen in enumerate(phases) if seen == phase]  # noqa: E731
    first, second = of('train', 0, True), of('train', 1, True)
    fitted = [i for i in of('train', 0, False) if i > first[-1]]
    found = dict(mid_epoch=second[1], end_of_epoch=first[-1], in_fit=fitted[0], in_evaluation=of('val', 1, False)[0])
    clustered = [i for i in of('train', 1, False) if i < second[0]]
    return dict(found, in_clustering=clustered[0]) if clustered else found


def train(cfg, at=None, action=None) -> list:
    """Run; the phases of its batches. A run that stops as told leaves by the documented status."""
    runner = Runner.from_cfg(cfg)
    seen = count_batches(runner, at, action)
    try:
        runner.train()
    except SystemExit as end:
        assert end.code == preemption.EXIT_CODE
    return seen


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def differences(first, second, path: str = '') -> list:
    """Keys of nested containers whose leaves are not equal to the bit; times and paths aside."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [key for key in {**first, **second} if str(key).split('/')[-1] not in OF_THE_PROCESS]
        return [found for key in keys
                for found in (differences(first[key], second[key], f'{path}/{key}')
                              if key in first and key in second else [f'{path}/{key}'])]
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        if len(first) != len(second):
            return [path]
        return [found for i, pair in enumerate(zip(first, second)) for found in differences(*pair, f'{path}/{i}')]
    if isinstance(first, torch.Tensor):
        equal = first.dtype == second.dtype and first.shape == second.shape and torch.equal(first, second)
        return [] if equal or first.isnan().any() and torch.equal(first.nan_to_num(), second.nan_to_num()) else [path]
    return [] if first == second else [path]


def final(folder) -> dict:
    """The last checkpoint, read without running code."""
    return torch.load(folder / f'epoch_{EPOCHS}.pth', weights_only=True)
