"""Scores of clusters after matching them to classes over the whole set."""
from typing import List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from prettytable import PrettyTable

from ...registry import METRICS
from ...structures import ClusterNames
from ..functional import (confusion_matrix, group_scores, match_clusters, match_named, matched_confusion,
                          partition_scores, scores_from_confusion)
from ..functional.matching import CRITERIA, GROUP_DEFINITIONS, MATCHES

# columns of class and clusters in the table, which is to fit a terminal of 80
_MAX_CELL = 20


# the second is its name in configs that were written before
@METRICS.register_module(name=['ClusterIoUMetric', 'HungarianIoUMetric'])
class ClusterIoUMetric(BaseMetric):
    """``aAcc``, ``mIoU`` and ``mAcc`` in percent, after matching clusters to the classes of the data set.

    ``ARI`` and ``NMI``, in percent too, compare clusters and classes before any matching, see
    :func:`mmseg_unsup.evaluation.functional.partition_scores`. Only labelled pixels count in any score.

    One (C, K) count per image is collected; mmengine drops the images that a distributed sampler repeated, so any
    number of processes gives the same numbers.

    Args:
        prediction: which predictions to score: a set of ``test_cfg.cluster_sets``, or of a probe of
            :class:`mmseg_unsup.ProbeHook`, or None for ``pred_sem_seg``.
        match, match_on: see :func:`mmseg_unsup.evaluation.functional.match_clusters`.
        group_definition: how the groups of the data set's metainfo (things, stuff) are scored; see
            :func:`mmseg_unsup.evaluation.functional.group_scores`.
        ignore_index: label that does not count.
        clusters: a ``clusters.json``, :class:`mmseg_unsup.apis.ClusterNames`: its merged clusters are scored. One that
            has the name of a class is that class, the others are matched to the classes left over.
        show_table: log a row per class.

    Attributes:
        confusion (np.ndarray): (C, K) labelled pixels of the last evaluation, on the main process.
        cluster_to_class (np.ndarray): (K,) the matching of it, -1 for none.
        table (str): what ``show_table`` logged.

    Source: commons.py:186-241 of the released PiCIE code.

    Raises:
        ValueError: unknown option; no labelled pixel in the whole set; sizes of prediction and labels differ.
        KeyError: a sample has no labels, or the cluster set was not predicted.
    """
    takes_names = True  # clusters may be given

    def __init__(self,
                 prediction: Optional[str] = None,
                 match: str = 'hungarian',
                 match_on: str = 'count',
                 group_definition: str = 'class_mean',
                 ignore_index: int = 255,
                 clusters: Optional[str] = None,
                 show_table: bool = True,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        for name, value, allowed in (('match', match, MATCHES), ('match_on', match_on, CRITERIA),
                                     ('group_definition', group_definition, GROUP_DEFINITIONS)):
            if value not in allowed:
                raise ValueError(f'{name}={value!r} is not one of {allowed}')
        self.prediction = prediction
        self.match, self.match_on = match, match_on
        self.group_definition = group_definition
        self.ignore_index = ignore_index
        self.show_table = show_table
        self.confusion = self.cluster_to_class = self.table = None
        self.names = None if clusters is None else ClusterNames.load(clusters)
        if self.names is not None and prediction not in (None, self.names.cluster_set):
            raise ValueError(f'{clusters} names the clusters of {self.names.cluster_set!r}, but this metric scores '
                             f'prediction={prediction!r}: leave clusters out there')
        if self.names is not None and match == 'identity':
            raise ValueError("clusters goes with match='hungarian' or 'majority'")

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count pixels per class and cluster, per image."""
        key = 'pred_sem_seg' if self.prediction is None else f'pred_sem_seg_{self.prediction}'
        n_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            path = sample.get('img_path', '?')
            if 'gt_sem_seg' not in sample:
                raise KeyError(f'{path} has no labels: ClusterIoUMetric needs LoadLabels in the test pipeline; for '
                               'unlabelled images use mmseg_unsup.ClusterMaps')
            if key not in sample:
                raise KeyError(f'no prediction of the cluster set {self.prediction!r}: add it to '
                               'model.test_cfg.cluster_sets, or a probe of that name to ProbeHook')
            labels = sample['gt_sem_seg']['data'][0].cpu().numpy()
            clusters = sample[key]['data'][0].cpu().numpy()
            if self.names is not None:
                self.names.check(*sample['cluster_identity'])
                clusters = self.names.table[clusters]
            if labels.shape != clusters.shape:
                raise ValueError(f'the prediction for {path} has shape {clusters.shape}, its labels {labels.shape}')
            try:
                count = confusion_matrix(labels, clusters, n_classes, int(clusters.max()) + 1, self.ignore_index)
            except ValueError as error:
                raise ValueError(f'{path}: {error}') from None
            self.results.append(count)

    def compute_metrics(self, results: List[np.ndarray]) -> dict:
        """Sum over images, match, score, and log the table."""
        confusion = self._sum(results)
        if not confusion.sum():
            raise ValueError(f'none of the {len(results)} images has a labelled pixel: check the label folder and '
                             f'ignore_index={self.ignore_index}')
        cluster_to_class = self._match(confusion)
        self.confusion, self.cluster_to_class = confusion, cluster_to_class
        scores = scores_from_confusion(matched_confusion(confusion, cluster_to_class))
        if self.show_table:
            self.table = self._describe_classes(scores, confusion, cluster_to_class)
            MMLogger.get_current_instance().info(self.table)
        scores.update(partition_scores(confusion))
        metrics = {name: round(scores[name], 4) for name in ('aAcc', 'mIoU', 'mAcc', 'ARI', 'NMI')}
        for group, members in self.dataset_meta.get('groups', {}).items():
            values = self._score_group(members)
            metrics.update({f'{group}_{name}': round(value, 4) for name, value in values.items()})
        return metrics

    def _sum(self, results: List[np.ndarray]) -> np.ndarray:
        return sum_counts(results, 0 if self.names is None else len(self.names.classes))

    def _score_group(self, members: Sequence[int]) -> dict:
        return group_scores(matched_confusion(self.confusion, self.cluster_to_class), members, self.group_definition)

    def _match(self, confusion: np.ndarray) -> np.ndarray:
        if self.names is None:
            return match_clusters(confusion, self.match, self.match_on)
        return match_named(confusion, self.names.names, list(self.dataset_meta['classes']), self.match, self.match_on)

    def _describe_classes(self, scores: dict, confusion: np.ndarray, cluster_to_class: np.ndarray) -> str:
        table = PrettyTable(['class', 'IoU', 'Acc', '% of pixels', 'cluster'])
        table.max_width = _MAX_CELL
        share = 100 * confusion.sum(1) / confusion.sum()
        for c, name in enumerate(self.dataset_meta['classes']):
            clusters = self._describe(np.flatnonzero(cluster_to_class == c).tolist())
            table.add_row([name, f'{scores["IoU"][c]:.2f}', f'{scores["Acc"][c]:.2f}', f'{share[c]:.1f}', clusters])
        title = f'{self.match} matching of {confusion.shape[1]} clusters'
        if self.names is not None:
            title = f'{confusion.shape[1]} classes of {self.names.path}, by name or by {self.match} matching'
        if self.prediction:
            title += f', prototypes: {self.prediction}'
        return f'{title}\n{table}'

    def _describe(self, clusters: List[int]) -> str:
        if self.names is None:
            return ' '.join(str(k) for k in clusters) or '-'
        return ', '.join(self.names.names[c] for c in clusters) or '-'


def sum_counts(results: List[np.ndarray], n_clusters: int = 0) -> np.ndarray:
    """Images count up to the highest cluster id they hold; the sum has a column up to the highest of all.

    Args:
        n_clusters: least number of columns.
    """
    n_clusters = max(n_clusters, *(count.shape[1] for count in results))
    total = np.zeros((len(results[0]), n_clusters), np.int64)
    for count in results:
        total[:, :count.shape[1]] += count
    return total
