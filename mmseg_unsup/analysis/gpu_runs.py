"""What the checks of ``mmseg-unsup gpu-report`` run: each method, small, on scenes that are drawn."""
import os
import os.path as osp
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..datasets.image_files import find_images
from ..datasets.pictures import write_picture
from ..datasets.procedural_scenes import write_scenes
from ..datasets.transforms.masks import read_mask
from ..engine.runner import ConsoleRunner
from ..utils.config import load_config, merge_options
from ..utils.speed import LOADERS, adapt_loaders
from .benchmark import write_photographs

CONFIGS = {
    'picie': 'mmseg_unsup::picie/picie_fpn_camvid.py',
    'picie-h': 'mmseg_unsup::picie/picie_h_fpn_camvid.py',
    'mdc': 'mmseg_unsup::mdc/mdc_fpn_camvid.py',
    'iic': 'mmseg_unsup::iic/iic_fpn_camvid.py',
    'maskcontrast': 'mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_folder_r18.py'
}
# what draws, and the score of untrained weights
_LEFT_OUT = ('report', 'cluster_pictures', 'initial_evaluation')
_OBJECTS = (1, 2)  # labels of drawn scenes that masks hold: brick and foliage
PHOTOGRAPH, N_PHOTOGRAPHS = (640, 480), 80


@dataclass(frozen=True)
class Scale:
    """Where checks run, and how large they are."""
    device: str  # 'cuda' or 'cpu'
    quick: bool  # tiny, to see that a check works
    data: str  # folder of what `draw_data` draws
    folder: str  # to work in
    cores: int

    def of(self, full: Any, quick: Any) -> Any:
        """The number to take."""
        return quick if self.quick else full

    @property
    def photographs(self) -> str:
        return osp.join(self.data, 'photographs')

    @property
    def photograph_size(self):
        """(W, H)."""
        return self.of(PHOTOGRAPH, (96, 72))


def draw_data(scale: Scale) -> None:
    """Write scenes, masks of their objects, and photographs."""
    scenes = osp.join(scale.data, 'scenes')
    write_scenes(scenes)
    for path in find_images(osp.join(scenes, 'labels', 'train')):
        mask = np.isin(read_mask(path), _OBJECTS)
        write_picture(osp.join(scale.data, 'masks', osp.basename(path)), mask.astype(np.uint8) * 255)
    os.makedirs(scale.photographs, exist_ok=True)
    write_photographs(scale.photographs, scale.of(N_PHOTOGRAPHS, 4), *scale.photograph_size)


def run_config(method: str, scale: Scale, work_dir: str, epochs: int = 1, batch_size: int = 16,
               options: Optional[Dict[str, Any]] = None) -> Config:
    """The config of a short run: random weights, 96 scenes (or a batch) at 320 px, and 48 to evaluate; or tiny.

    Args:
        work_dir: name of a folder below that of the scale.
        options: dotted key -> value.
    """
    cfg = load_config(CONFIGS[method])
    scenes, size, work_dir = osp.join(scale.data, 'scenes'), scale.of(320, 32), osp.join(scale.folder, work_dir)
    if method == 'maskcontrast':
        roots = dict(data_root=osp.join(scenes, 'images', 'train'), mask_root=osp.join(scale.data, 'masks'))
        merge_options(cfg, dict(roots, out=osp.join(work_dir, 'maps'), eval_size=size, n_clusters=4))
    else:
        merge_options(cfg, dict(n_clusters=6))
    _use_scenes(cfg, scale, scenes, max(96, batch_size))
    merge_options(cfg, {'size': size, 'init': None, **(options or {})})
    for name in ('train_dataloader', 'probe_dataloader'):
        cfg[name].batch_size = scale.of(batch_size, 4)
    if scale.quick:
        merge_options(cfg, _narrow(method))
    return _as_run(cfg, work_dir, epochs)


def _use_scenes(cfg: Config, scale: Scale, scenes: str, n_images: int) -> None:
    """Let the loaders take so many, and those of the evaluation 48."""
    n_workers = scale.of(min(4, scale.cores), 0)
    for name in LOADERS:
        images = cfg[name].dataset.get('dataset', cfg[name].dataset)
        images.indices = scale.of(48 if images is cfg[name].dataset else n_images, 8)
        if 'CamVid' in images.type:
            images.update(type='mmseg_unsup.ProceduralScenes', data_root=scenes)
        cfg[name].update(num_workers=n_workers, persistent_workers=n_workers > 0)


def _narrow(method: str) -> dict:
    """Options of a network with an eighth of the channels."""
    options = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8}
    if method == 'maskcontrast':
        return {**options, 'model.decode_head.in_channels': 64, 'model.decode_head.channels': 16,
                'model.decode_head.dilations': (1, 2), 'model.queue_length': 8}
    return {**options, 'model.neck.in_channels': [8, 16, 32, 64], 'model.neck.out_channels': 16,
            'model.decode_head.in_channels': 16}


def _as_run(cfg: Config, work_dir: str, epochs: int) -> Config:
    for name in _LEFT_OUT:
        cfg.default_hooks.pop(name, None)
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = epochs
    cfg.work_dir = work_dir
    adapt_loaders(cfg)
    return cfg


def reproducible(cfg: Config) -> Config:
    """The same config with the deterministic setting."""
    cfg.randomness = dict(seed=0, deterministic=True)
    cfg.env_cfg.cudnn_benchmark = False
    return cfg


def train(cfg: Config, *hooks: Hook) -> Runner:
    """Train; the runner at its end."""
    runner = ConsoleRunner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def losses_of(runner: Runner) -> List[float]:
    """The loss of every step.

    Raises:
        AssertionError: one is not finite, or there is none.
    """
    losses = runner.message_hub.get_scalar('train/loss').data[0].tolist()
    assert losses and np.isfinite(losses).all(), f'losses that are not finite: {losses}'
    return losses


def relative_difference(first: Any, second: Any) -> float:
    """Length of the difference of two vectors by the length of the second."""
    first, second = (torch.as_tensor(values).double().flatten().cpu() for values in (first, second))
    return float((first - second).norm() / second.norm())


def unequal_tensors(first: Dict[str, torch.Tensor], second: Dict[str, torch.Tensor]) -> List[str]:
    """Names of what differs by a bit between two state dicts."""
    return [name for name in {**first, **second}
            if name not in first or name not in second or not torch.equal(first[name], second[name])]


def peak_bytes() -> int:
    """Most memory of the device that tensors took since :func:`forget_peak`; 0 on a CPU."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def forget_peak() -> None:
    """Start the count of :func:`peak_bytes` anew."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
