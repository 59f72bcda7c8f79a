"""Small textured scenes made by rule, for the demonstration and for tests: real files, no download."""
import os
import os.path as osp
import shutil
import tempfile

import cv2
import numpy as np
from mmengine.dist import barrier, is_main_process

from ..registry import DATASETS
from ..utils.random import keyed_generator
from .labelled_dataset import LabelledDataset

_SIZE = 160
_N_IMAGES = dict(train=192, val=48)
_CLASSES = ('sky', 'brick', 'foliage', 'grass', 'water', 'sand')


@DATASETS.register_module()
class ProceduralScenes(LabelledDataset):
    """Scenes of sky, brick buildings, trees, and grass, water or sand, 160 x 160, with exact labels.

    The pictures are written below ``data_root`` on first use, always the same ones. Light and tint change from picture
    to picture, so a class is known by its texture and place more than by its colour.
    """

    METAINFO = dict(
        classes=_CLASSES,
        palette=[[135, 190, 235], [178, 80, 60], [40, 95, 40], [125, 190, 80], [40, 90, 170], [220, 200, 130]])

    def __init__(self, data_root: str, img_suffix: str = '.png', **kwargs) -> None:
        if is_main_process():
            write_scenes(data_root)
        barrier()
        super().__init__(data_root=data_root, img_suffix=img_suffix, **kwargs)


def write_scenes(root: str) -> None:
    """Write all scenes below ``root`` unless they are there; an interrupted attempt leaves nothing behind."""
    if osp.isdir(osp.join(root, 'labels')):
        return
    parent = osp.dirname(osp.abspath(root))
    os.makedirs(parent, exist_ok=True)
    scratch = tempfile.mkdtemp(dir=parent, prefix='.scenes-')
    try:
        for split_id, (split, n_images) in enumerate(_N_IMAGES.items()):
            for folder in ('images', 'labels'):
                os.makedirs(osp.join(scratch, folder, split))
            for i in range(n_images):
                img, labels = draw_scene(keyed_generator(2021, split_id, i))
                cv2.imwrite(osp.join(scratch, 'images', split, f'{i:03d}.png'), img)
                cv2.imwrite(osp.join(scratch, 'labels', split, f'{i:03d}.png'), labels)
        os.makedirs(root, exist_ok=True)
        for folder in ('images', 'labels'):  # the labels last: their presence says that all is there
            shutil.rmtree(osp.join(root, folder), ignore_errors=True)
            os.rename(osp.join(scratch, folder), osp.join(root, folder))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def draw_scene(rng: np.random.Generator):
    """Return a (160, 160, 3) uint8 BGR picture and its (160, 160) uint8 class map."""
    labels = _layout(rng)
    img = np.zeros((_SIZE, _SIZE, 3))
    for index, name in enumerate(_CLASSES):
        tint = 1 + rng.uniform(-0.15, 0.15, 3)
        img = np.where((labels == index)[..., None], _TEXTURES[name](rng) * tint, img)
    light = rng.uniform(0.75, 1.2) + 0.15 * _noise(rng, 2)[..., None]
    img = img * light + rng.normal(0, 0.015, img.shape)
    return (img.clip(0, 1) * 255).round().astype(np.uint8), labels


def _layout(rng: np.random.Generator) -> np.ndarray:
    """Ground below a wavy horizon, one to three buildings and trees in front of the sky."""
    rows, cols = np.mgrid[:_SIZE, :_SIZE]
    labels = np.full((_SIZE, _SIZE), _CLASSES.index('sky'), np.uint8)
    horizon = rng.uniform(0.45, 0.65) * _SIZE + 5 * _noise(rng, 4)[0][None, :]
    for _ in range(rng.integers(1, 4)):
        left, width = rng.uniform(-0.1, 0.8) * _SIZE, rng.uniform(0.2, 0.4) * _SIZE
        top = horizon.min() - rng.uniform(0.15, 0.4) * _SIZE
        labels[(cols >= left) & (cols < left + width) & (rows > top)] = _CLASSES.index('brick')
    grounds = rng.permutation(['grass', 'water', 'sand'])[:2]
    border = rng.uniform(0.2, 0.8) * _SIZE + 10 * _noise(rng, 4)
    below = rows > horizon
    labels[below & (cols <= border)] = _CLASSES.index(grounds[0])
    labels[below & (cols > border)] = _CLASSES.index(grounds[1])
    for _ in range(rng.integers(1, 4)):
        x, radius = rng.uniform(0, _SIZE), rng.uniform(0.08, 0.18) * _SIZE
        y = horizon.mean() - rng.uniform(0, 0.5) * radius
        ragged = radius * (1 + 0.3 * _noise(rng, 12))
        labels[(cols - x)**2 + 0.7 * (rows - y)**2 < ragged**2] = _CLASSES.index('foliage')
    return labels


def _noise(rng: np.random.Generator, cells: int, cells_x: int = 0) -> np.ndarray:
    """Smooth noise in [-1, 1] with ``cells`` (x ``cells_x``) random knots over the picture."""
    knots = rng.uniform(-1, 1, (cells + 1, (cells_x or cells) + 1)).astype(np.float32)
    return cv2.resize(knots, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC).clip(-1, 1)


def _colored(rgb: tuple, shade: np.ndarray) -> np.ndarray:
    """An RGB colour in [0, 1] times (1 + shade), as BGR."""
    return np.array(rgb[::-1]) * (1 + shade[..., None])


def _brick(rng: np.random.Generator) -> np.ndarray:
    rows, cols = np.mgrid[:_SIZE, :_SIZE]
    height, width = rng.integers(5, 8), rng.integers(10, 15)
    course = rows // height
    mortar = (rows % height == 0) | ((cols + course % 2 * (width // 2)) % width == 0)
    return _colored((0.62, 0.33, 0.25), np.where(mortar, 0.6, 0.1 * _noise(rng, 20)))


_SKY_SHADE = np.linspace(-0.1, 0.1, _SIZE)[:, None]
_TEXTURES = dict(
    sky=lambda rng: _colored((0.55, 0.72, 0.9), 0.15 * _noise(rng, 3) + _SKY_SHADE),
    brick=_brick,
    foliage=lambda rng: _colored((0.2, 0.36, 0.17), 0.7 * np.sign(_noise(rng, 28)) * np.abs(_noise(rng, 28))**0.5),
    grass=lambda rng: _colored((0.42, 0.58, 0.26), 0.45 * _noise(rng, 12, 70)),
    water=lambda rng: _colored((0.2, 0.38, 0.58), 0.45 * _noise(rng, 45, 7)),
    sand=lambda rng: _colored((0.8, 0.7, 0.5), 0.18 * rng.uniform(-1, 1, (_SIZE, _SIZE))))
