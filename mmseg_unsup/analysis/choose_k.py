"""What the number of clusters k does on the features of a checkpoint, measured without labels.

The help of ``mmseg-unsup choose-k`` has the rule that the advice follows.
"""
import itertools
import math
import os
import os.path as osp
from typing import Dict, List, Sequence, Tuple

import numpy as np
from mmengine.config import Config
from prettytable import PrettyTable

from ..clustering import MiniBatchKMeans
from ..datasets.pictures import write_figure
from ..utils.atomic import write_json
from ..utils.progress import track_progress
from .experiments import finite
from .feature_sample import FeatureSample, check_enough_cells, fit_kmeans, fresh_settings, sample_features
from .label_free import cluster_agreement, silhouette

# Stability that counts as the best one, and below which no k is reproducible.
TOLERANCE, UNSTABLE = 0.05, 0.5


def measure(sample: FeatureSample, ks: Sequence[int], n_seeds: int, settings: dict,
            silhouette_cells: int) -> List[dict]:
    """A dict of scores per k, in ascending order, and ``relative_gain``, the share of the inertia that the step from
    the next smaller k takes away."""
    results, previous = [], None
    with track_progress('k-means', len(ks), 'k') as advance:
        for k in ks:
            fits = [fit_kmeans(sample.rows, k, settings, seed) for seed in range(n_seeds)]
            scores = _scores(sample, k, fits, silhouette_cells)
            gain = 1 - scores['inertia'] / previous if previous else None
            results.append(dict(k=k, **scores, relative_gain=gain))
            previous = scores['inertia']
            advance(1)
    return results


def _scores(sample: FeatureSample, k: int, fits: List[MiniBatchKMeans], silhouette_cells: int) -> Dict[str, float]:
    labels = [kmeans.predict(sample.rows) for kmeans in fits]
    pairs = [cluster_agreement(a.cpu().numpy(), b.cpu().numpy(), k) for a, b in itertools.combinations(labels, 2)]
    views = [[kmeans.predict(view).cpu().numpy() for view in sample.views] for kmeans in fits]
    agreements = [cluster_agreement(first, second, k) for first, second in views]
    starts, across = _mean(pairs, 'ARI'), _mean(agreements, 'ARI')
    return dict(
        stability=min(starts, across),
        start_ARI=starts,
        start_ARI_std=float(np.std([pair['ARI'] for pair in pairs], ddof=1)) if len(pairs) > 1 else None,
        start_NMI=_mean(pairs, 'NMI'),
        view_ARI=across,
        view_NMI=_mean(agreements, 'NMI'),
        view_matched=_mean(agreements, 'matched'),
        silhouette=finite(np.mean([silhouette(sample.rows, of_fit, silhouette_cells) for of_fit in labels])),
        inertia=float(np.mean([kmeans.inertia_ for kmeans in fits])))


def _mean(scores: List[dict], name: str) -> float:
    return float(np.mean([of_one[name] for of_one in scores]))


def advise(results: List[dict]) -> Tuple[int, str]:
    """The k of the rule in the help of the command, and a sentence that says why."""
    best = max(result['stability'] for result in results)
    chosen = [result for result in results if result['stability'] >= best - TOLERANCE][-1]
    k, ks = chosen['k'], [result['k'] for result in results]
    numbers = f'ARI {chosen["start_ARI"]:.2f} across starts, {chosen["view_ARI"]:.2f} across views'
    if best < UNSTABLE:
        return k, (f'No k of the list is reproducible (the best stability is {best:.2f}, below {UNSTABLE}): train '
                   f'longer or try other k; the least bad is k = {k} ({numbers}).')
    more = ''
    if k == ks[-1] and len(ks) > 1:
        more = '; it is the largest one tried, so try larger ones too'
    elif k == ks[0] and len(ks) > 1:
        more = '; it is the smallest one tried, and stability tends to fall with k: weigh the detail you need too'
    return k, (f'Take k = {k}: the largest k of the list whose stability is within {TOLERANCE} of the best '
               f'({numbers}){more}.')


def plot(results: List[dict], chosen: int, path: str) -> None:
    """Stability and silhouette, and inertia, over k."""
    from matplotlib.figure import Figure
    ks = [result['k'] for result in results]
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for name, label, style in (('start_ARI', 'stability across starts (ARI)', 'o-'),
                               ('view_ARI', 'stability across views (ARI)', 's-'), ('silhouette', 'silhouette', '^--')):
        values = [math.nan if result[name] is None else result[name] for result in results]
        errors = [result['start_ARI_std'] or 0 for result in results] if name == 'start_ARI' else None
        left.errorbar(ks, values, errors, fmt=style, capsize=3, label=label)
    left.set_ylim(min(0, left.get_ylim()[0]), 1.05)
    right.plot(ks, [result['inertia'] for result in results], 'o-', label='inertia')
    for result in results[1:]:
        right.annotate(f'−{100 * result["relative_gain"]:.0f} %', (result['k'], result['inertia']), (0, 8),
                       textcoords='offset points', ha='center')
    right.set_ylim(0, 1.12 * results[0]['inertia'])
    right.set_ylabel('mean squared distance to the nearest centre')
    for axes in (left, right):
        axes.axvline(chosen, color='0.7', zorder=0, label=f'advised: k = {chosen}')
        axes.set_xlabel('number of clusters k')
        axes.set_xscale('log')
        axes.set_xlim(ks[0] / 1.2, 1.2 * ks[-1])  # also of a single one
        axes.minorticks_off()
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.legend()
    write_figure(path, figure)


def to_text(report: dict) -> str:
    """A table and the advice."""
    columns = ['k', 'stability', 'start_ARI', 'view_ARI', 'view_matched', 'silhouette', 'inertia', 'relative_gain']
    table = PrettyTable([name.replace('_', ' ') for name in columns], align='r')
    for result in report['results']:
        table.add_row([
            '-' if result[name] is None else result[name] if name == 'k' else f'{result[name]:.3f}' for name in columns
        ])
    title = f'{report["checkpoint"]}: {report["cells"]} cells of {report["images"]} images, {report["seeds"]} starts'
    return f'{title}\n{table}\n{report["advice"]}'


def check_arguments(ks: Sequence[int], n_seeds: int) -> List[int]:
    """The list of k, sorted, each once; what cannot work fails before the features are computed."""
    if min(ks) < 2:
        raise ValueError(f'--k {min(ks)} cannot tell cells apart: give numbers of clusters from 2 on')
    if n_seeds < 2:
        raise ValueError(f'--seeds {n_seeds}: stability compares starts of k-means, give at least 2')
    return sorted(set(ks))


def choose_k(cfg: Config, checkpoint: str, ks: Sequence[int], out: str, n_seeds: int = 3, n_images: int = 256,
             n_cells: int = 20_000, silhouette_cells: int = 2000, seed: int = 0) -> dict:
    """Measure and advise; writes ``choose_k.json``, whose content it returns, and ``choose_k.png`` into a folder.

    Args:
        ks: numbers of clusters to compare, with ``n_seeds`` starts of k-means each.
        n_images: training images, from which ``n_cells`` cells are taken.
        silhouette_cells: of these cells, those of the silhouette.
        seed: which images, views and cells are sampled.
    """
    ks = check_arguments(ks, n_seeds)
    sample = sample_features(cfg, checkpoint, n_images, n_cells, seed)
    check_enough_cells(ks[-1], len(sample.rows))
    settings = fresh_settings(cfg)[1]
    results = measure(sample, ks, n_seeds, settings, silhouette_cells)
    chosen, advice = advise(results)
    report = dict(config=cfg.filename, checkpoint=checkpoint, images=sample.n_images, cells=len(sample.rows),
                  seeds=n_seeds, kmeans=settings, results=results, advised_k=chosen, advice=advice)
    os.makedirs(out, exist_ok=True)
    write_json(osp.join(out, 'choose_k.json'), report)
    plot(results, chosen, osp.join(out, 'choose_k.png'))
    return report
