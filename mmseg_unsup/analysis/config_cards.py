"""The protocol cards of evaluations that a config describes."""
from typing import Dict, List, Optional, Sequence

from mmengine.config import Config

from ..datasets.titles import labels_of
from ..evaluation.evaluators import cluster_metric
from ..evaluation.metrics import ReleasedIoUMetric
from ..evaluation.protocol_cards import NO_LABELS, TRAINED, ProtocolCard
from ..registry import METRICS
from ..utils.registered import class_of
from ..utils.whole_images import resizes_of

_FRAMES = dict(center_crop='centre square', full_resolution='whole image', squash='squashed')
OWN = 'config'


def card_of_config(cfg: Config, labels: str = '') -> Optional[ProtocolCard]:
    """How the validation of a config makes the scores without a prefix, at the end of a training; None where it does
    not match clusters, or resizes images by means of another package.

    Args:
        labels: those that the weights have seen, as tables say it.
    """
    metric, loader = cluster_metric(cfg, 'val'), cfg.get('val_dataloader') or {}
    resize = next(iter(resizes_of((loader.get('dataset') or {}).get('pipeline', []))), None)
    if metric is None or resize is None:
        return None
    test_cfg, prediction = cfg.model.get('test_cfg') or {}, metric.get('prediction') or ''
    crf = (test_cfg.get('crf') or {}).get(prediction.removesuffix('_crf')) if prediction.endswith('_crf') else None
    return ProtocolCard(
        OWN, resize['size'], resize.get('interpolation', 'area'), _FRAMES[resize.get('protocol', 'center_crop')],
        _scales(test_cfg.get('scales')), bool(test_cfg.get('flip')), test_cfg.get('enlarge', 'scores'),
        None if crf is None else dict(crf),
        labels=TRAINED if labels_of(loader['dataset']['type']) in labels else NO_LABELS, **_counting(metric))


def _scales(scales: Optional[Sequence[float]]) -> Optional[List[float]]:
    return None if scales is None or [*scales] == [1] else [*scales]


def _counting(metric: dict) -> Dict[str, str]:
    """The fields of a card that a metric decides."""
    if issubclass(class_of(metric, METRICS), ReleasedIoUMetric):
        return dict(extra_clusters=metric.get('extra_clusters', 'dropped'), absent_classes='matched')
    match = metric.get('match', 'hungarian')
    if match == 'identity':
        return dict(matching=match, absent_classes='matched')
    return dict(matching=f'{match} on iou' if metric.get('match_on', 'count') == 'iou' else match)
