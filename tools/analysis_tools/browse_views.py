"""Show the views that a config trains on: one row per image.

    python tools/analysis_tools/browse_views.py configs/picie/picie_fpn_camvid.py views.png --cfg-options data_root=DATA

Views of a crop that the model repeats on feature maps (PiCIE and its like): the first view; the second, which is whole,
with the recorded crop as a frame; and the second cut by the record, which must show what the first one shows. Views
with masks (MaskContrast): both, coloured by their objects. An arrow in the frame says that the crop is flipped.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse

import cv2
import numpy as np
import torch

from mmseg_unsup.models.utils import warp
from mmseg_unsup.registry import DATASETS
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_options_argument
from mmseg_unsup.utils.config import load_config
from mmseg_unsup.utils.pictures import check_picture, write_picture
from mmseg_unsup.utils.setup_env import register_all_modules
from mmseg_unsup.visualization import cluster_palette, contact_sheet, overlay

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


def sheet_of(dataset, n_images: int) -> np.ndarray:
    """Rows of evenly spread images."""
    chosen = np.linspace(0, len(dataset) - 1, min(n_images, len(dataset))).round().astype(int)
    rows = [describe_views(dataset[int(idx)]) for idx in chosen]
    return contact_sheet([list(row.values()) for row in rows], list(rows[0]), tile=200)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('out', help='picture to write, .png or .jpg')
    parser.add_argument('--images', type=at_least(1), default=8, help='rows')
    parser.add_argument('--epoch', type=at_least(0), default=0, help='whose views to draw, from 0 on')
    add_options_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args.out)
    register_all_modules()
    cfg = load_config(args.config, args.cfg_options)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not hasattr(dataset, 'set_key'):
        raise SystemExit(f'{args.config} trains on {type(dataset).__name__}, which makes no views: give a config of '
                         'unsupervised training')
    dataset.set_key(cfg.randomness.get('seed') or 0, args.epoch)
    write_picture(args.out, sheet_of(dataset, args.images))
    print(f'{args.out}: views of epoch {args.epoch}, seed {cfg.randomness.get("seed")}')


if __name__ == '__main__':
    main()
