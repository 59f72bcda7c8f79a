"""What all methods that train on views of an image share."""
import logging
from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from ...utils.console import say
from ..decode_heads.cluster_head import FRESH
from ...weights import check_stock_initialization, quiet_init_weights
from ...functional import class_map, connected_segments, warp
from .cluster_segmentor import Assignments, ClusterSegmentor, ForwardMaps


class ViewSegmentor(ClusterSegmentor):
    """Backbone, neck and a :class:`ClusterHead`; features of several views on one grid; predictions of several sets.

    The first view's image was cropped and flipped; of the other views, the feature maps are.

    Args:
        rounding: of the crop on feature maps, see :func:`mmseg_unsup.functional.warp`.
    """

    def __init__(self, *args, rounding: str = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.rounding = rounding
        self._told_of_fallback = False
        self.to(memory_format=torch.channels_last)  # as the data come; convolutions on CPU and bfloat16 GPU are faster

    @property
    def num_views(self) -> int:
        return self.decode_head.num_views

    def init_weights(self) -> None:
        with quiet_init_weights(self):
            super().init_weights()
            check_stock_initialization(self.backbone, strict=True)

    def extract_raw_view_feats(self, views: List[Tensor], data_samples: list, extract=None) -> List[Tensor]:
        """V image batches (N, 3, H, W) -> V feature maps (N, C, h, w) on the grid of the first view.

        Args:
            extract: what maps a batch to features; the model itself by default, or the labeller.
        """
        extract = extract or self.extract_feat
        if self.training and extract == self.extract_feat:  # batch norm sees one view at a time
            feats = [extract(images)[self.decode_head.in_index] for images in views]
        else:
            feats = extract(torch.cat(views))[self.decode_head.in_index].chunk(len(views))
        boxes = torch.tensor([sample.crop_box for sample in data_samples]).to(feats[0].device)
        flips = torch.tensor([sample.flip for sample in data_samples]).to(feats[0].device)
        first, *others = feats
        return [first, *(warp(feat, boxes, flips, self.rounding) for feat in others)]

    def extract_view_feats(self, views: List[Tensor], data_samples: list, extract=None) -> List[Tensor]:
        """The same, of unit length."""
        return [F.normalize(feat.float(), dim=1) for feat in self.extract_raw_view_feats(views, data_samples, extract)]

    def predict(self, inputs: Tensor, data_samples: list = None) -> list:
        """Predict the cluster sets and, as ``pred_sem_seg_<set>`` alone, the probes; one pass of the backbone."""
        # which sets, and so how many channels, is known only once prototypes are there
        self.out_channels = sum(self.decode_head.set_size(name) for name in self.predicted_sets)
        if not self.probes:
            return super().predict(inputs, data_samples)
        feats = self.extract_feat(inputs)
        scores = self.decode_head.predict(feats, [sample.metainfo for sample in data_samples], self.test_cfg)
        data_samples = self.postprocess_result(scores, data_samples)
        self.predict_probes(self._read(feats), inputs, data_samples)
        return data_samples

    @property
    def own_sets(self) -> List[str]:
        return self.decode_head.set_names()

    @property
    def predicted_sets(self) -> List[str]:
        """``test_cfg.cluster_sets``, or the set that plain prediction uses. A checkpoint from inside an epoch or from
        between two evaluations has no fresh prototypes; what the training had fitted predicts in their place."""
        names = list((self.test_cfg or {}).get('cluster_sets') or [self.decode_head.default_set])
        head = self.decode_head
        trained = [name for name in head.trained_sets if head.is_fitted(name)]
        if FRESH not in names or head.is_fitted(FRESH) or not trained:
            return names
        names = [name for name in names if name != FRESH] or trained[:1]
        if not self._told_of_fallback:
            self._told_of_fallback = True
            say(f'the weights have no clusters of a fresh k-means, which an evaluation makes: those of the training '
                f'predict, {", ".join(names)}', logging.WARNING)
        return names

    @property
    def n_predicted(self) -> int:
        return self.decode_head.set_size(self.predicted_sets[0])

    def cluster_tensors(self) -> List[Tensor]:
        return self.decode_head.set_tensors(self.predicted_sets[0])

    def cluster_scores(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> Tensor:
        return self.decode_head(self.extract_feat(inputs), self.predicted_sets[:1])

    @property
    def cluster_centers(self) -> Optional[Tensor]:
        return self.decode_head.centers(self.predicted_sets[0])

    @torch.no_grad()
    def assignments(self, inputs: Tensor, img_meta: dict) -> Assignments:
        """Of cells of the feature map."""
        outputs = self.extract_feat(inputs)
        scores = self.decode_head(outputs, self.predicted_sets[:1])[0]
        feats = F.normalize(outputs[self.decode_head.in_index][0].float(), dim=0)
        return Assignments(
            class_map(scores, img_meta, self.align_corners), feats.flatten(1).t(), scores.argmax(0).flatten(),
            _cell_boxes(*scores.shape[1:]).to(feats))

    @property
    def probe_channels(self) -> Dict[str, int]:
        return dict(features=self.decode_head.in_channels)

    def forward_maps(self, inputs: Tensor) -> ForwardMaps:
        """The finished features, of unit length; segments are connected cells of one cluster of the first set of
        ``test_cfg.cluster_sets``."""
        return self._read(self.extract_feat(inputs))

    def _read(self, outputs: Tuple[Tensor, ...]) -> ForwardMaps:
        feats = F.normalize(outputs[self.decode_head.in_index].float(), dim=1)
        return ForwardMaps(
            dict(features=feats),
            lambda: connected_segments(self.decode_head(outputs, self.predicted_sets[:1]).argmax(1)))

    def postprocess_result(self, seg_logits: Tensor, data_samples: list = None) -> list:
        """One prediction per cluster set.

        ``pred_sem_seg`` and ``seg_logits`` are of the first set in ``test_cfg.cluster_sets``; each also leaves
        ``pred_sem_seg_<set>``.
        """
        names = self.predicted_sets
        blocks = seg_logits.split([self.decode_head.set_size(name) for name in names], dim=1)
        for name, block in reversed(list(zip(names, blocks))):  # the first set is written last and stays
            data_samples = super().postprocess_result(block, data_samples)
            for sample in data_samples:
                sample.set_data({f'pred_sem_seg_{name}': PixelData(data=sample.pred_sem_seg.data)})
                sample.set_metainfo(dict(n_clusters=block.size(1)))
        identity = self.cluster_identity()
        for sample in data_samples:
            sample.set_metainfo(dict(cluster_identity=identity))
        return data_samples


def _cell_boxes(height: int, width: int) -> Tensor:
    """(height * width, 4) boxes of the cells of a grid, in fractions of it."""
    top, left = (index.flatten().float() for index in torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing='ij'))
    return torch.stack([left / width, top / height, (left + 1) / width, (top + 1) / height], 1)


def parse_clusters(clusters: Union[int, str], n_clusters: int) -> int:
    """A number of clusters, given as such or as a multiple of ``n_clusters`` such as ``'2x'``.

    Raises:
        ValueError: it is neither, or less than 2.
    """
    try:
        is_multiple = isinstance(clusters, str) and clusters.endswith('x')
        number = round(float(clusters[:-1]) * n_clusters) if is_multiple else int(clusters)
    except (TypeError, ValueError):
        number = 0
    if number < 2:
        raise ValueError(f"over_clustering: {clusters!r} is no number of clusters from 2 on, nor a multiple of "
                         f"n_clusters={n_clusters} such as '2x'")
    return number
