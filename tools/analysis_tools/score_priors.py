"""Compare mask priors with masks that people drew: one table.

    python tools/analysis_tools/score_priors.py IMAGES LABELS --priors rbd spectral --weights WEIGHTS.pth

LABELS has one mask per image, of the same relative stem; where it is not 0 is the object. Means over all images:
- IoU of the binary mask;
- F-measure of the binary mask, beta^2 = 0.3 (not the best over thresholds of the soft map);
- MAE, the mean absolute error of the soft map;
- CPU time of one core; images with a usable mask. Without one, IoU and F-measure are 0.
Of region priors the region with the highest IoU counts, which needs the labels: a bound, no prediction.
"""
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy: times are of one core

import mmseg_unsup  # noqa: F401, E402, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse  # noqa: E402
import os.path as osp  # noqa: E402
import time  # noqa: E402
from typing import Dict, List, Sequence, Tuple  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from mmseg_unsup.apis.mask_folder import prior_config, stems_of  # noqa: E402
from mmseg_unsup.datasets.image_files import find_images  # noqa: E402
from mmseg_unsup.models.utils import read_part, resnet_depth  # noqa: E402
from mmseg_unsup.priors import Prior, RegionPrior  # noqa: E402
from mmseg_unsup.priors.folder import find_mask, read_mask  # noqa: E402
from mmseg_unsup.registry import PRIORS  # noqa: E402
from mmseg_unsup.utils import track_progress  # noqa: E402
from mmseg_unsup.utils.atomic import write_json  # noqa: E402
from mmseg_unsup.utils.checks import at_least  # noqa: E402
from mmseg_unsup.utils.pictures import read_rgb  # noqa: E402

BETA_SQUARED = 0.3
COLUMNS = dict(
    iou='mean IoU', f_measure='F (β² = 0.3, binary mask)', mae='MAE (soft map)', cpu_ms='ms / image and core', kept='kept')


def mask_scores(mask: np.ndarray, label: np.ndarray) -> Tuple[float, float]:
    """(H, W) bool, (H, W) bool with an object -> IoU and F-measure."""
    both, found, wanted = (mask & label).sum(), mask.sum(), label.sum()
    if not both:
        return 0., 0.
    precision, recall = both / found, both / wanted
    f_measure = (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    return float(both / (found + wanted - both)), float(f_measure)


def score_image(prior: Prior, image: np.ndarray, stem: str, label: np.ndarray) -> Dict[str, float]:
    """Scores of one image."""
    start = time.process_time()
    if isinstance(prior, RegionPrior):
        saliency, mask = None, prior(image, stem)
    else:
        saliency = prior.saliency(image, stem)
        mask = prior.mask(saliency)
    seconds = time.process_time() - start
    candidates = [mask == value for value in np.unique(mask[mask > 0])] or [np.zeros_like(label)]
    iou, f_measure = max(mask_scores(candidate, label) for candidate in candidates)
    return dict(iou=iou, f_measure=f_measure, mae=None if saliency is None else float(np.abs(saliency - label).mean()),
                cpu_ms=1000 * seconds, kept=float(mask.any()))


def score_prior(name: str, prior: Prior, pairs: Sequence[tuple]) -> dict:
    """Means over all images."""
    scores: List[dict] = []
    with track_progress(name, len(pairs)) as advance:
        for path, stem, label_path in pairs:
            image, label = read_rgb(path), read_mask(label_path) > 0
            if label.shape != image.shape[:2] or not label.any():
                raise ValueError(f'the label {label_path} has shape {label.shape} and {label.sum()} pixels of an '
                                 f'object: expected the shape {image.shape[:2]} of {path}, and an object')
            scores.append(score_image(prior, image, stem, label))
            advance(1)
    means = {key: None if scores[0][key] is None else float(np.mean([score[key] for score in scores]))
             for key in COLUMNS}
    return dict(prior=name, n_images=len(scores), **means, settings=prior.describe())


def spectral_config(checkpoint: str, style: str) -> dict:
    """SpectralPrior on a ResNet whose depth follows from the names in its file.

    Raises:
        ValueError: they are no ResNet's; the file cannot be read.
    """
    pretrained = read_part(checkpoint)
    depth = resnet_depth(pretrained.state)
    if depth is None:
        raise ValueError(f'{pretrained} is no ResNet of a known depth: use make_priors.py with --options backbone=...')
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix=pretrained.prefix or None)
    return prior_config('spectral', dict(backbone=dict(depth=depth, style=style, init_cfg=init_cfg)))


def configs_of(names: Sequence[str], weights: Sequence[str], styles: Sequence[str]) -> Dict[str, dict]:
    """Name in the table -> config; ``spectral`` once per file of weights.

    Raises:
        ValueError: ``spectral`` without weights, weights without it, or styles for some of them only.
    """
    styles = styles or ['pytorch'] * len(weights)
    if ('spectral' in names) != bool(weights) or len(styles) != len(weights):
        raise ValueError(f'--priors spectral needs --weights, and one of --styles for each or none: got --priors '
                         f'{" ".join(names)}, {len(weights)} weights and {len(styles)} styles')
    configs = {}
    for name in names:
        if name == 'spectral':
            for path, style in zip(weights, styles):
                configs[f'spectral, {osp.basename(path)}'] = spectral_config(path, style)
        else:
            configs[f'{name} (best region)' if name == 'region' else name] = prior_config(name, None)
    return configs


def markdown(results: Sequence[dict]) -> str:
    lines = ['| prior | ' + ' | '.join(COLUMNS.values()) + ' |', '| --- |' + ' --- |' * len(COLUMNS)]
    for result in results:
        cells = ['-' if result[key] is None else f'{result[key]:.0f}' if key == 'cpu_ms' else
                 f'{result[key]:.1%}' if key == 'kept' else f'{result[key]:.3f}' for key in COLUMNS]
        lines.append(f'| {result["prior"]} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', help='folder of images')
    parser.add_argument('labels', help='folder of masks that people drew')
    parser.add_argument('--priors', nargs='+', default=['rbd'], help='rbd, spectral, region, or registered types')
    parser.add_argument('--weights', nargs='+', default=[], help='ResNet checkpoints, for spectral')
    parser.add_argument('--styles', nargs='+', choices=('pytorch', 'caffe'), help='of each of --weights')
    parser.add_argument('--every', type=at_least(1), default=1, help='score each n-th image only')
    parser.add_argument('--out', help='also write the scores and settings to this JSON file')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    paths = find_images(args.images)
    pairs = [(path, stem, find_mask(args.labels, stem))
             for path, stem in zip(paths, stems_of(paths, args.images))][::args.every]
    priors = {name: PRIORS.build(config)
              for name, config in configs_of(args.priors, args.weights, args.styles).items()}
    results = [score_prior(name, prior, pairs) for name, prior in priors.items()]
    print(f'{len(pairs)} images of {args.images}\n\n{markdown(results)}')
    if args.out:
        write_json(args.out, dict(images=args.images, labels=args.labels, results=results))


if __name__ == '__main__':
    main()
