"""Pictures of what the clusters are, after every evaluation."""
import os.path as osp
from itertools import chain
from typing import Dict, List, Optional, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...evaluation.metrics import ClusterIoUMetric
from ...registry import HOOKS
from ...utils.checks import check_counts
from ...datasets.pictures import write_picture
from ...visualization import cluster_palette, contact_sheet, heat_map, size_chart
from ..feature_pass import unwrap

CAPTIONS = ['image', 'clusters', 'matched classes', 'truth']


@HOOKS.register_module()
class ClusterPicturesHook(Hook):
    """Gives the backends of the visualizer (local files, TensorBoard, W&B, MLflow, as configured) four pictures:

    * ``contact_sheet``: ``image | clusters | matched classes | truth`` of the first images; without labels the first
      two columns. The last one is a file in the work directory too;
    * ``cluster_sizes``: shares of all pixels;
    * ``cluster_similarity``: cosines of the clusters' prototypes or weights;
    * ``confusion_matrix``: for every class of the data set the shares of its pixels per cluster, clusters in the order
      of the classes that they are matched to. It is that of the :class:`ClusterIoUMetric` which scores
      ``pred_sem_seg``; without one it is left out, and so are the matched classes.

    Args:
        n_images: images of the contact sheet.
        images_per_row: how many of them stand side by side.
        filename: of the contact sheet, below the work directory; a later evaluation replaces it.

    Attributes:
        pictures (dict): name -> (H, W, 3) uint8 RGB of the last evaluation, on the main process.
    """

    def __init__(self, n_images: int = 8, images_per_row: int = 1, filename: str = 'contact_sheet.png') -> None:
        check_counts(n_images=n_images, images_per_row=images_per_row)
        self.n_images, self.images_per_row, self.filename = n_images, images_per_row, filename
        self.results = dict(pictures=filename)  # see run_facts.result_files
        self.pictures: Dict[str, np.ndarray] = {}

    def before_val_epoch(self, runner) -> None:
        self._rows: List[tuple] = []
        self._sizes = torch.zeros(0, dtype=torch.float64)

    before_test_epoch = before_val_epoch

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs: Sequence = ()) -> None:
        """Keep the pictures of the first images, count the pixels of all."""
        for image, sample in zip(data_batch['inputs'], outputs):
            clusters = sample.pred_sem_seg.data.squeeze(0)
            counts = clusters.flatten().long().bincount(minlength=sample.n_clusters).cpu().double()
            self._sizes = F.pad(self._sizes, (0, len(counts) - len(self._sizes))) + counts
            if len(self._rows) < self.n_images:
                labels = sample.gt_sem_seg.data.squeeze(0).cpu().numpy() if 'gt_sem_seg' in sample else None
                rgb = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()[..., ::-1])
                self._rows.append((rgb, clusters.cpu().numpy(), labels))

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner, metrics=None) -> None:
        self._draw(runner, runner.val_loop)

    def after_test_epoch(self, runner, metrics=None) -> None:
        self._draw(runner, runner.test_loop)

    def _draw(self, runner, loop) -> None:
        if not len(self._sizes):
            return
        all_reduce(self._sizes)
        if not is_main_process():
            return
        model = unwrap(runner.model)
        metric = scored_confusion(loop.evaluator.metrics, model.predicted_sets[0])
        dataset = loop.dataloader.dataset
        pictures = dict(contact_sheet=self._contact_sheet(dataset.metainfo, metric))
        palette = cluster_palette(len(self._sizes))
        pictures['cluster_sizes'] = size_chart((self._sizes / self._sizes.sum()).numpy(), palette)
        pictures.update(similarity_picture(model.cluster_tensors()))
        if metric is not None:
            pictures['confusion_matrix'] = confusion_picture(metric, dataset.metainfo['classes'], len(self._sizes))
        self.pictures = pictures
        # outside training, asking the runner for the epoch would build the training data set
        epoch = runner.epoch if isinstance(runner._train_loop, BaseLoop) else 0
        for name, picture in pictures.items():
            runner.visualizer.add_image(name, picture, step=epoch)
        path = osp.join(runner.work_dir, self.filename)
        write_picture(path, pictures['contact_sheet'])
        runner.logger.info(f'contact sheet: {path}')

    def _contact_sheet(self, metainfo: dict, metric: Optional[ClusterIoUMetric]) -> np.ndarray:
        colors = cluster_palette(len(self._sizes))
        # white: a cluster without a class, or a pixel without a label
        table = np.full((256, 3), 255, np.uint8)
        palette = np.array(metainfo.get('palette') or [], np.uint8).reshape(-1, 3)
        table[:len(palette)] = palette
        rows = []
        for image, clusters, labels in self._rows:
            row = [cv2.resize(image, clusters.shape[::-1]), colors[clusters]]
            if metric is not None and labels is not None:
                row += [table[matched_classes(metric, len(colors))[clusters]], table[labels]]  # -1 is the last, white
            rows.append(row)
        captions, n = CAPTIONS[:len(rows[0])], min(self.images_per_row, len(rows))
        blank = [np.full((1, 1, 3), 255, np.uint8)] * len(captions)
        rows += [blank] * (-len(rows) % n)
        return contact_sheet([[*chain(*rows[i:i + n])] for i in range(0, len(rows), n)], captions * n)


def scored_confusion(metrics: Sequence, predicted_set: str) -> Optional[ClusterIoUMetric]:
    """The metric that has matched the clusters of ``pred_sem_seg`` to classes, if there is one; not one of
    ``clusters.json``, whose columns are merged clusters."""
    return next((metric for metric in metrics if isinstance(metric, ClusterIoUMetric) and metric.names is None
                 and metric.prediction in (None, predicted_set) and metric.confusion is not None), None)


def matched_classes(metric: ClusterIoUMetric, n_clusters: int) -> np.ndarray:
    """(K,) class of every cluster, -1 for none; labelled pixels may not have the last ones."""
    classes_of = np.full(n_clusters, -1)
    classes_of[:len(metric.cluster_to_class)] = metric.cluster_to_class
    return classes_of


def similarity_picture(tensors: List[torch.Tensor]) -> Dict[str, np.ndarray]:
    """Cosines of the rows of the largest of the tensors that define the clusters."""
    rows = max(tensors, key=torch.numel).detach().float().flatten(1)
    if len(rows) < 2:
        return {}
    unit, ids = F.normalize(rows, dim=1), [str(k) for k in range(len(rows))]
    cosines = (unit @ unit.t()).cpu().numpy()
    return dict(cluster_similarity=heat_map(cosines, ids, ids, 'cosine similarity of the clusters', low=-1.))


def confusion_picture(metric: ClusterIoUMetric, classes: Sequence[str], n_clusters: int = 0) -> np.ndarray:
    """Classes by clusters, each class in shares of its pixels.

    Args:
        n_clusters: also shows clusters up to this number that labelled pixels do not have.
    """
    confusion = metric.confusion
    n_clusters = max(n_clusters, confusion.shape[1])
    counts = np.zeros((len(classes), n_clusters))
    counts[:, :confusion.shape[1]] = confusion
    classes_of = matched_classes(metric, n_clusters)
    order = np.argsort(np.where(classes_of < 0, len(classes), classes_of), kind='stable')
    percent = 100 * counts[:, order] / np.maximum(counts.sum(1, keepdims=True), 1)
    return heat_map(percent, classes, [str(k) for k in order], 'percent of the pixels of a class', high=100.,
                    row_title='class', column_title='cluster, in the order of the classes', write_numbers=True)
