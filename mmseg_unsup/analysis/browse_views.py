"""The views that a config trains on, as a picture."""
import cv2
import numpy as np
import torch
from mmengine.config import Config

from ..functional import warp
from ..registry import DATASETS
from ..datasets.pictures import check_picture, write_picture
from ..visualization import cluster_palette, contact_sheet, overlay

FRAME = (255, 60, 40)


def rgb(view: torch.Tensor) -> np.ndarray:
    """(3, H, W) uint8 BGR -> (H, W, 3) uint8 RGB."""
    return np.ascontiguousarray(view.permute(1, 2, 0).numpy()[..., ::-1])


def describe_views(packed: dict) -> dict:
    """A packed sample -> caption -> picture."""
    views, sample = packed['inputs'], packed['data_samples']
    if 'view_masks' in sample:
        masks = sample.view_masks.data.numpy()
        return {f'view {v + 1}': overlay(rgb(view), masks[v], cluster_palette(256), background=0)
                for v, view in enumerate(views)}
    first, *others = views
    pictures = {'view 1': rgb(first)}
    for v, view in enumerate(others):
        cut = warp(view[None], torch.tensor([sample.crop_box]), torch.tensor([sample.flip]))[0]
        pictures[f'view {v + 2}'] = frame(rgb(view), sample.crop_box, sample.flip)
        pictures[f'view {v + 2} on the grid of view 1'] = rgb(cut.round().byte())
    return pictures


def frame(picture: np.ndarray, box: tuple, flip: bool) -> np.ndarray:
    """Draw the crop, and an arrow to the left where it is flipped."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (round(share * side) for share, side in zip(box, (width, height) * 2))
    picture = cv2.rectangle(picture.copy(), (x1, y1), (x2 - 1, y2 - 1), FRAME, 2)
    if flip:
        y = (y1 + y2) // 2
        cv2.arrowedLine(picture, (x2 - 8, y), (x1 + 8, y), FRAME, 2, tipLength=0.15)
    return picture


def draw_views(cfg: Config, path: str, n_images: int = 8, epoch: int = 0) -> None:
    """Draw the views of an epoch as a picture, a row for each of some evenly spread images."""
    check_picture(path)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not hasattr(dataset, 'set_key'):
        raise ValueError(f'{cfg.filename} trains on {type(dataset).__name__}, which makes no views: give a config of '
                         'unsupervised training')
    dataset.set_key(cfg.randomness.get('seed') or 0, epoch)
    chosen = np.linspace(0, len(dataset) - 1, min(n_images, len(dataset))).round().astype(int)
    rows = [describe_views(dataset[int(idx)]) for idx in chosen]
    write_picture(path, contact_sheet([list(row.values()) for row in rows], list(rows[0]), tile=200))
