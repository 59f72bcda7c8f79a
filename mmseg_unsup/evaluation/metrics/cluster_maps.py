"""Cluster maps as files: what there is to evaluate without labels."""
import os.path as osp
from typing import List, Optional, Sequence, Tuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ...datasets.image_files import check_output, mark_output
from ...registry import METRICS
from ...structures import ClusterNames
from ...utils.paths import is_outside
from ...datasets.pictures import map_name, write_indexed
from ...visualization import cluster_palette


@METRICS.register_module()
class ClusterMaps(BaseMetric):
    """Writes one indexed PNG of cluster ids per image and reports how the pixels spread over the clusters.

    The value of a pixel is the cluster id; a palette makes the file readable to the eye too. Files mirror the folders
    below ``root``.

    Scores: ``clusters_used``, ``largest_share`` (percent of all pixels) and ``balance``, the entropy of the shares
    over its largest possible value (1: all clusters equally large).

    Args:
        output_dir: where to write.
        root: folder of the images, whose structure is kept; None writes all files into one folder.
        clusters: a ``clusters.json``, :class:`mmseg_unsup.apis.ClusterNames`: values are its classes, colours its
            palette.

    Raises:
        ValueError: two images of one name would share a map; one does not lie below ``root``; ``output_dir`` is
            ``root``.
    """
    takes_names = True  # clusters may be given

    def __init__(self,
                 output_dir: str,
                 root: Optional[str] = None,
                 clusters: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        self.output_dir, self.root = output_dir, root
        if root is not None:
            check_output(output_dir, root)
        self.names = None if clusters is None else ClusterNames.load(clusters)
        self._image_of = {}  # map -> image, where images of one name may meet

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write the maps of a batch and count their pixels."""
        for sample in data_samples:
            clusters, palette = self._colored(sample)
            path = self._path(sample['img_path'])
            if not self.results:
                mark_output(self.output_dir)
            if self.root is None:
                self._check_own(path, sample['img_path'])
            write_indexed(path, clusters, palette)
            count = np.bincount(clusters.ravel(), minlength=len(palette))
            self.results.append(0 * count if sample.get('replaced') else count)

    def compute_metrics(self, results: List[np.ndarray]) -> dict:
        """Shares of the clusters over all images."""
        shares = np.sum(results, 0) / np.sum(results)
        used = shares[shares > 0]
        balance = -(used * np.log(used)).sum() / np.log(max(len(shares), 2))
        MMLogger.get_current_instance().info(f'{len(results)} cluster maps written to {self.output_dir}')
        return dict(clusters_used=int(len(used)), largest_share=round(100 * float(shares.max()), 2),
                    balance=round(float(balance), 4))

    def _colored(self, sample: dict) -> Tuple[np.ndarray, np.ndarray]:
        """The ids of an image, (H, W), and their palette."""
        clusters = sample['pred_sem_seg']['data'][0].cpu().numpy()
        if self.names is None:
            return clusters, cluster_palette(sample['n_clusters'])
        self.names.check(*sample['cluster_identity'])
        return self.names.table[clusters], self.names.palette

    def _check_own(self, path: str, img_path: str) -> None:
        image = self._image_of.setdefault(path, img_path)
        if image != img_path:
            raise ValueError(f'{image} and {img_path} would share the map {path}: set root to the folder that holds '
                             'both')

    def _path(self, img_path: str) -> str:
        name = osp.relpath(img_path, self.root) if self.root else osp.basename(img_path)
        if is_outside(name, self.output_dir):
            raise ValueError(f'the image {img_path} does not lie below root={self.root!r}, so its map would not lie '
                             f'below {self.output_dir}: set root of ClusterMaps to the folder of the images')
        return osp.join(self.output_dir, map_name(name))
