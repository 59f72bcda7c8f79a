"""A picture of what the model sees, after the last evaluation."""
import os.path as osp
from typing import List, Sequence

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from ...evaluation.functional import confusion_matrix, match_clusters
from ...registry import HOOKS
from ...visualization import cluster_palette, contact_sheet


@HOOKS.register_module()
class ContactSheetHook(Hook):
    """Writes ``image | clusters | matched classes | truth`` of the first validation images as one PNG.

    Clusters are matched to classes on all images that the first process evaluates, as in the score. Without labels the
    sheet has the first two columns.

    Args:
        n_images: rows.
        filename: below the work directory; a later evaluation replaces it.
    """

    def __init__(self, n_images: int = 8, filename: str = 'contact_sheet.png') -> None:
        self.n_images, self.filename = n_images, filename

    def before_val_epoch(self, runner) -> None:
        """Forget the last evaluation."""
        self._rows: List[tuple] = []
        self._counts: List[np.ndarray] = []

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs: Sequence = ()) -> None:
        """Keep the pictures of the first images and the counts of all."""
        n_classes = len(runner.val_dataloader.dataset.metainfo['classes'])
        for image, sample in zip(data_batch['inputs'], outputs):
            clusters = sample.pred_sem_seg.data.squeeze(0).cpu().numpy()
            labels = sample.gt_sem_seg.data.squeeze(0).cpu().numpy() if 'gt_sem_seg' in sample else None
            n_clusters = sample.n_clusters
            if labels is not None:
                self._counts.append(confusion_matrix(labels, clusters, n_classes, n_clusters))
            if len(self._rows) < self.n_images:
                self._rows.append((image.permute(1, 2, 0).numpy()[..., ::-1], clusters, n_clusters, labels))

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Write the sheet and say where."""
        if not is_main_process() or not self._rows:
            return
        palette = np.array(runner.val_dataloader.dataset.metainfo['palette'], np.uint8).reshape(-1, 3)
        classes_of = match_clusters(np.sum(self._counts, 0)) if self._counts else None
        rows = [self._row(row, palette, classes_of) for row in self._rows]
        captions = ['image', 'clusters', 'matched classes', 'truth'][:len(rows[0])]
        path = osp.join(runner.work_dir, self.filename)
        cv2.imwrite(path, contact_sheet(rows, captions)[..., ::-1])
        runner.logger.info(f'contact sheet: {path}')

    @staticmethod
    def _row(row: tuple, palette: np.ndarray, classes_of: np.ndarray) -> List[np.ndarray]:
        image, clusters, n_clusters, labels = row
        size = clusters.shape[::-1]
        pictures = [cv2.resize(np.ascontiguousarray(image), size), cluster_palette(n_clusters)[clusters]]
        if classes_of is not None and labels is not None:
            # white: a cluster without a class, or a pixel without a label
            table = np.vstack([palette, np.full((256 - len(palette), 3), 255, np.uint8)])
            pictures += [table[np.where(classes_of < 0, 255, classes_of)[clusters]], table[labels]]
        return pictures
