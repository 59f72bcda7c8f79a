"""Mask priors beside masks that people drew."""
import os.path as osp
import time
from typing import Dict, List, Sequence, Tuple

import cv2
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..apis.image_names import ImageNames
from ..apis.mask_folder import check_stems, stem_of
from ..apis.prior_configs import prior_config, sees_features
from ..datasets.image_files import find_images
from ..datasets.pictures import read_rgb
from ..priors import Prior
from ..priors.folder import find_mask, read_mask
from ..registry import PRIORS
from ..utils import track_progress
from ..utils.score_table import markdown_table

BETA_SQUARED = 0.3
COLUMNS = dict(
    iou='mean IoU', f_measure='F (β² = 0.3, binary mask)', mae='MAE (soft map)', cpu_ms='ms / image and core',
    kept='kept')


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
    if prior.tells_ground:
        saliency = prior.saliency(image, stem)
        mask = prior.mask(saliency)
        candidates = [mask > 0]
    else:
        saliency, mask = None, prior(image, stem)
        candidates = [mask == value for value in np.unique(mask[mask > 0])] or [np.zeros_like(label)]
    seconds = time.process_time() - start
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
    name = name if prior.tells_ground else f'{name} (best region)'
    return dict(prior=name, n_images=len(scores), **means, settings=prior.describe())


def configs_of(names: Sequence[str], weights: Sequence[str], styles: Sequence[str]) -> Dict[str, dict]:
    """Name in the table -> config; priors that see features once per file of weights, which must be there."""
    styles = styles or ['pytorch'] * len(weights)
    if any(map(sees_features, names)) != bool(weights) or len(styles) != len(weights):
        raise ValueError(f'priors that see features need --weights, and one of --styles for each or none: got --priors '
                         f'{" ".join(names)}, {len(weights)} weights and {len(styles)} styles')
    missing = [path for path in weights if '://' not in path and not osp.isfile(path)]
    if missing:
        raise FileNotFoundError(f'there is no file of weights {missing[0]!r}: correct --weights')
    configs = {}
    for name in names:
        if sees_features(name):
            for path, style in zip(weights, styles):
                configs[f'{name}, {osp.basename(path)}'] = prior_config(name, None, path, style)
        else:
            configs[name] = prior_config(name)
    return configs


def markdown(results: Sequence[dict]) -> str:
    """A row per prior."""
    formats = dict(cpu_ms='.0f', kept='.1%')
    rows = [[result['prior'], *('-' if result[key] is None else format(result[key], formats.get(key, '.3f'))
                                for key in COLUMNS)] for result in results]
    return markdown_table(['prior', *COLUMNS.values()], rows)


def score_folder(images: str, labels: str, configs: Dict[str, dict], every: int = 1) -> List[dict]:
    """Scores of every prior, on one core.

    Args:
        images: folder of images.
        labels: folder of masks that people drew, of the same relative stems.
        configs: name -> config, see :func:`configs_of`.
        every: score each n-th image only.
    """
    names = ImageNames(find_images(images), images)
    check_stems(names)
    stems = map(stem_of, names)
    pairs = [(path, stem, find_mask(labels, stem)) for path, stem in zip(names.paths, stems)][::every]
    priors = {name: PRIORS.build(config) for name, config in configs.items()}
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with threadpool_limits(1):  # numpy's, whose threads are there already
        return [score_prior(name, prior, pairs) for name, prior in priors.items()]
