"""What a gallery says: scores, the numbers at its top, and what it was made from."""
import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.config import Config

from ..datasets.label_folder import LabelFolder
from ..evaluation.evaluators import cluster_metric
from ..evaluation.functional import match_clusters, matched_confusion, partition_scores, scores_from_confusion
from ..evaluation.functional.matching import UNMATCHED
from ..structures import ClusterNames
from ..utils.paths import printable
from ..version import __version__
from ..weights import weights_seen
from .loading import read_weights


class Matching(NamedTuple):
    """How clusters are matched to classes."""
    match: str = 'hungarian'
    match_on: str = 'count'


def matching_of(cfg: Config) -> Matching:
    """The matching of the first metric of the config's tests which matches clusters to classes."""
    metric = cluster_metric(cfg, 'test') or {}
    return Matching(**{key: metric[key] for key in Matching._fields if key in metric})


def label_scores(confusion: np.ndarray, matching: Matching) -> Dict:
    """Scores of matched clusters, ``confusion``, ``matched``, the class of each cluster, and ``how``."""
    matched = match_clusters(confusion, *matching)
    scores = scores_from_confusion(matched_confusion(confusion, matched))
    return dict(scores, **partition_scores(confusion), confusion=confusion, matched=matched, how=matching)


def label_rows(scores: Dict, reference: LabelFolder) -> Dict:
    """The table of scores."""
    confusion, match = scores['confusion'], scores['how']
    shares = 100 * confusion.sum(1) / confusion.sum()
    rows = [
        dict(name=name, color='rgb({}, {}, {})'.format(*reference.palette[c]), iou=_number(scores['IoU'][c]),
             accuracy=_number(scores['Acc'][c]), share=f'{shares[c]:.1f}',
             clusters=np.flatnonzero(scores['matched'] == c).tolist()) for c, name in enumerate(reference.classes)
    ]
    how = dict(hungarian='one-to-one (Hungarian)', majority='each to its best label', identity='by number')
    of = dict(count='the number of pixels', iou='IoU')[match.match_on]
    n_unmatched = int((scores['matched'] == UNMATCHED).sum())
    left = f' {n_unmatched} clusters have no label; their pixels count as wrong.' if n_unmatched else ''
    return dict(rows=rows, matching=f'Clusters are matched to labels {how[match.match]} by {of}, over all images at '
                f'their own size.{left}')


def facts(shares: np.ndarray, n_images: int, n_unreadable: int, scores: Optional[Dict],
          of_clusters: bool = True) -> List[tuple]:
    """The numbers at the top of the page: name, value, note. ``shares`` (K,) of clusters, or of classes of examples,
    are of all pixels."""
    used = int((shares > 0).sum())
    kind, kinds = ('cluster', 'Clusters') if of_clusters else ('class', 'Classes')
    lines = [('Images', f'{n_images}', f'{n_unreadable} unreadable' if n_unreadable else ''),
             (kinds, f'{len(shares)}', '' if used == len(shares) else f'{used} occur')]
    if scores is None:
        return [*lines, (f'Largest {kind}', f'{100 * shares.max():.1f} %', 'of all pixels')]
    matched = {name: (name, _number(scores[name]), 'matched') for name in ('mIoU', 'aAcc', 'mAcc')}
    return [*lines, *matched.values(), *((name, _number(scores[name]), 'no matching') for name in ('ARI', 'NMI'))]


def foreground(shares: np.ndarray, background: Optional[int], mask_share: Optional[float]) -> List[tuple]:
    """The number of methods that tell objects from a background: what share of all pixels objects have, and had in the
    masks that the model was trained on."""
    if background is None:
        return []
    note = 'of all pixels' + ('' if mask_share is None else f'; of the masks {100 * mask_share:.1f} %')
    return [('Foreground', f'{100 * (1 - shares[background]):.1f} %', note)]


def page_title(cfg: Config, checkpoint: str) -> str:
    """The name of the config, or of the checkpoint that it is from, with its folder; of ``segment`` and ``learn``, that
    of the folder of results."""
    if cfg.filename:
        return osp.splitext(osp.basename(cfg.filename))[0]
    *_, above, folder, name = ['', *osp.splitext(osp.abspath(checkpoint))[0].split(osp.sep)]
    return printable(above if folder == 'train' and above else osp.join(folder, name))


def provenance(cfg: Config, checkpoint: str, images: str, labels: Optional[str], names: ClusterNames,
               unreadable: Sequence[str], refine: Optional[dict] = None) -> List[str]:
    """Lines that say what the page was made from."""
    seen = weights_seen(checkpoint, read_weights(checkpoint)[0].get('meta'))
    return [
        *map(printable, [
            f'Checkpoint {checkpoint} of {cfg.filename or "the config in it"}; its weights have seen: {seen}.',
            f'Clusters: set {names.cluster_set}, fingerprint {names.fingerprint}.',
            f'Images: {images}' + (f', labels: {labels}' if labels else '') + '.',
            *([f'Maps are refined by a dense CRF: {refine}.'] if refine else []),
            *([f'Unreadable: {", ".join(unreadable[:5])}' + (' ...' if len(unreadable) > 5 else '')]
              if unreadable else []),
        ]),
        f'mmseg_unsup {__version__}',
    ]


def _number(value: float) -> str:
    return f'{value:.2f}' if np.isfinite(value) else 'none'
