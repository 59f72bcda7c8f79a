"""How much the features of a checkpoint tell of their place in the image, measured without labels.

The help of ``mmseg-unsup position`` says what the numbers mean.
"""
from typing import Callable, Dict, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from prettytable import PrettyTable
from torch import Tensor

from ..clustering.pca import RepeatedMoments
from ..engine.feature_pass import limit_images, set_view_key
from ..engine.fitting import feature_batches
from ..functional import unit
from ..functional.position import cells_in_windows, has_windows, noise_images, position_r2, window_step
from .feature_sample import build_model

# patterns of `position_cosines` that are reported, and what they run along
PATTERNS = {(1, 0): 'from top to bottom', (0, 1): 'from left to right',
            (2, 0): 'from the middle to top and bottom', (0, 2): 'from the middle to the sides'}
NOISE_STD, NOISE_SEEDS = 0.3, 4  # eight images of a seed


@torch.no_grad()
def measure_position(cfg: Config, checkpoint: str, n_images: int = 128, seed: int = 0) -> dict:
    """``images`` and ``noise``, R2 by the names of ``PATTERNS``; ``window_share``, the share of the variance of a
    feature that depends on the window, None for images that are too small for windows; and ``n_images``. Features have
    unit length, as those that are clustered.

    Args:
        n_images: random training images; one half is fitted to, the other scored.

    Raises:
        ValueError: fewer than two images, or images of several sizes.
    """
    model = build_model(cfg, checkpoint)
    maps, image_size, share = _read_images(model, cfg, n_images, seed)
    noise = torch.cat([_features(model, noise_images(*image_size, NOISE_STD, i).to(maps.device))
                       for i in range(NOISE_SEEDS)])
    return dict(config=cfg.filename, checkpoint=checkpoint, n_images=len(maps), images=_named_r2(maps),
                noise=_named_r2(noise), window_share=share)


def _features(model: torch.nn.Module, images: Tensor) -> Tensor:
    return unit(model.predicting_map(images)).float()


def _read_images(model: torch.nn.Module, cfg: Config, n_images: int,
                 seed: int) -> Tuple[Tensor, Tuple[int, int], Optional[float]]:
    """(N, C, h, w) features of images, the (height, width) of these, and what of the features depends on the window."""
    loader = Runner.build_dataloader(cfg.probe_dataloader, seed=seed)
    set_view_key(loader, seed, 0)
    maps: List[Tensor] = []
    sizes, share = set(), WindowShare(window_step(model.backbone))
    for batch in feature_batches(model, loader, 'features, probe_dataloader', limit_images(loader, n_images)):
        images = batch.images
        if len(images):
            sizes.add(tuple(images.shape[2:]))
            maps.append(_features(model, images))
            share.add(lambda crops: _features(model, crops), images)
    _check_images(sizes, sum(map(len, maps)))
    return torch.cat(maps), sizes.pop(), share.value()


class WindowShare:
    """Share of the variance of features that depends on the window a place is seen in; ``step``: of
    :func:`mmseg_unsup.functional.position.shifted_windows`."""

    def __init__(self, step: int) -> None:
        self._step, self._moments = step, None

    def add(self, features: Callable[[Tensor], Tensor], images: Tensor) -> None:
        """Take (N, 3, H, W) images and a function that makes (N, C, h, w) features of such."""
        if not has_windows(*images.shape[2:], self._step):
            return
        rows = cells_in_windows(features, images, self._step).permute(0, 3, 4, 1, 2).flatten(0, 2)
        if self._moments is None:
            self._moments = RepeatedMoments(rows.size(2), rows.device)
        self._moments.add(rows)

    def value(self) -> Optional[float]:
        """None without images that are large enough."""
        if self._moments is None:
            return None
        within, total = (float(covariance.trace()) for covariance in self._moments.covariances())
        return within / total if total else 0.


def _check_images(sizes: set, n_images: int) -> None:
    if n_images < 2:
        raise ValueError(f'{n_images} image cannot be halved: position is predicted on images that were not fitted to; '
                         'give at least 2')
    if len(sizes) > 1:
        (height, width), (other_height, other_width) = sorted(sizes)[:2]
        raise ValueError(f'images of {width}x{height} and {other_width}x{other_height} pixels have no common grid of '
                         'places: make them one size in probe_dataloader, for instance by '
                         'ResizeForEvaluation.protocol=center_crop')


def _named_r2(maps: Tensor) -> Dict[str, float]:
    r2 = position_r2(maps[::2], maps[1::2])
    return {name: r2[pattern] for pattern, name in PATTERNS.items()}


def to_text(report: dict) -> str:
    """A table and a line."""
    table = PrettyTable(['R2 of the place', 'images', 'noise'], align='r')
    table.align['R2 of the place'] = 'l'
    for name in PATTERNS.values():
        table.add_row([name, *(f'{report[key][name]:.2f}' for key in ('images', 'noise'))])
    share = report['window_share']
    depends = ('the images are too small to be seen in several windows' if share is None else
               f'{100 * share:.1f} % of the variance of a feature depend on the window it is seen in')
    return f'{report["checkpoint"]}: {report["n_images"]} images\n{table}\n{depends}'
