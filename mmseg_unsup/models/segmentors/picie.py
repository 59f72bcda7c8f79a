"""PiCIE: clustering with invariance to photometric and equivariance to geometric change."""
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from torch import Tensor, nn

from ...registry import MODELS
from ..losses import cross_view_loss
from ..utils import Labeller, check_backbone_initialization, quiet_init_weights, warp


@MODELS.register_module()
class PiCIE(EncoderDecoder):
    """Two views of an image, labelled by clusters, must be classified alike, each by the other's clusters too.

    The first view's image was cropped and flipped; of the second view, the feature map is. A
    :class:`mmseg_unsup.PixelClusteringHook` fits ``decode_head.prototypes`` before an epoch. The *labeller*, a copy of
    backbone and neck, labels the views during the epoch.

    Args:
        labeller_epochs: None freezes the labeller from one clustering to the next, as released. A number makes it the
            exponential moving average of the weights over about that many epochs, whatever their number of steps;
            clustering and prediction then use the average too.
        over_clustering: multiples of the head's number of clusters. Each adds a head with prototypes, labels and loss
            terms of its own, weighted alike; prediction does not use them. The idea of PiCIE+H.
        temperature: of the logits; 1 in the released code.
        within_weight, cross_weight: of the two losses.
        rounding: of the crop on feature maps, see :func:`mmseg_unsup.models.utils.warp`.
        allow_missing: accept a pre-trained file that lacks tensors of the backbone.

    Source: arXiv 2103.17070; train_picie.py of the released code.
    """

    def __init__(self,
                 *args,
                 decode_head: dict,
                 labeller_epochs: Optional[float] = None,
                 over_clustering: Sequence[int] = (),
                 temperature: float = 0.1,
                 within_weight: float = 0.5,
                 cross_weight: float = 0.5,
                 rounding: str = None,
                 allow_missing: bool = False,
                 **kwargs) -> None:
        super().__init__(*args, decode_head=decode_head, **kwargs)
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, but it is {temperature}')
        if labeller_epochs is not None and labeller_epochs <= 0:
            raise ValueError(f'labeller_epochs must be None or positive, but it is {labeller_epochs}')
        self.labeller_epochs = labeller_epochs
        self.temperature = temperature
        self.loss_weights = dict(loss_within=within_weight, loss_cross=cross_weight)
        self.rounding = rounding
        self.allow_missing = allow_missing
        self.to(memory_format=torch.channels_last)  # as the data come; convolutions on CPU and bfloat16 GPU are faster
        self.labeller = Labeller(self.backbone, self.neck)
        if any(factor < 2 for factor in over_clustering):
            raise ValueError(f'over_clustering holds multiples of n_clusters, at least 2, but it is {over_clustering}')
        self.over_heads = nn.ModuleList(
            MODELS.build(dict(decode_head, n_clusters=factor * decode_head['n_clusters']))
            for factor in over_clustering)

    @property
    def num_views(self) -> int:
        return self.decode_head.num_views

    def init_weights(self) -> None:
        with quiet_init_weights(self):
            super().init_weights()
        check_backbone_initialization(self.backbone, self.allow_missing)

    @property
    def heads(self) -> list:
        """The head of prediction, then those of over-clustering."""
        return [self.decode_head, *self.over_heads]

    @property
    def averages_labeller(self) -> bool:
        return self.labeller_epochs is not None

    def update_labeller(self) -> None:
        """Make the labeller a copy of the present weights."""
        self.labeller.update(self.backbone, self.neck)

    def average_labeller(self, steps_per_epoch: float) -> None:
        """After an optimiser step: one step of the moving average; nothing where the labeller is frozen."""
        if self.averages_labeller:
            momentum = min(1., 1 / (self.labeller_epochs * steps_per_epoch))
            self.labeller.average(self.backbone, self.neck, momentum)

    def extract_feat(self, inputs: Tensor) -> Tuple[Tensor]:
        """(N, 3, H, W) -> a tuple of one (N, C, h, w) map; outside training, of the averaged weights if there are."""
        if self.averages_labeller and not self.training:
            return self.labeller(inputs)
        return super().extract_feat(inputs)

    def extract_view_feats(self, views: List[Tensor], data_samples: list, extract=None) -> List[Tensor]:
        """V image batches (N, 3, H, W) -> V unit-length feature maps (N, C, h, w) on one common grid.

        Args:
            extract: what maps a batch to features; the model itself by default, or the labeller.
        """
        extract = extract or self.extract_feat
        if self.training and extract == self.extract_feat:  # batch norm sees one view at a time
            feats = [extract(images)[self.decode_head.in_index] for images in views]
        else:
            feats = extract(torch.cat(views))[self.decode_head.in_index].chunk(len(views))
        return self._align(feats, data_samples)

    def _align(self, feats: Sequence[Tensor], data_samples: list) -> List[Tensor]:
        """V feature maps, each in the frame of its view -> the same on the first view's grid, of unit length."""
        boxes = torch.tensor([sample.crop_box for sample in data_samples]).to(feats[0].device)
        flips = torch.tensor([sample.flip for sample in data_samples]).to(feats[0].device)
        first, *others = feats
        aligned = [first, *(warp(feat, boxes, flips, self.rounding) for feat in others)]
        return [F.normalize(feat.float(), dim=1) for feat in aligned]

    @torch.no_grad()
    def pseudo_labels(self, views: List[Tensor], data_samples: list) -> List[List[Tensor]]:
        """V image batches -> per head, V maps (N, h, w) of the nearest prototype of their own view."""
        feats = self.extract_view_feats(views, data_samples, self.labeller)
        return [[head.assign(feat, v) for v, feat in enumerate(feats)] for head in self.heads]

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """Weighted ``loss_within`` and ``loss_cross`` of a batch of views, averaged over the heads."""
        labels = self.pseudo_labels(inputs, data_samples)
        feats = self.extract_view_feats(inputs, data_samples)
        by_head = [
            cross_view_loss(feats, of_head, head.prototypes, head.class_weights, self.temperature)
            for head, of_head in zip(self.heads, labels)
        ]
        return {
            name: weight * sum(losses[name] for losses in by_head) / len(by_head)
            for name, weight in self.loss_weights.items()
        }

    def predict(self, inputs: Tensor, data_samples: list = None) -> list:
        # which sets, and so how many channels, is known only once prototypes are there
        self.out_channels = sum(self.decode_head.set_size(name) for name in self._predicted_sets())
        return super().predict(inputs, data_samples)

    def postprocess_result(self, seg_logits: Tensor, data_samples: list = None) -> list:
        """One prediction per prototype set.

        ``pred_sem_seg`` and ``seg_logits`` are of the first set; with several in ``test_cfg.prototype_sets``, each also
        leaves ``pred_sem_seg_<set>``.
        """
        names = self._predicted_sets()
        if len(names) == 1:
            return super().postprocess_result(seg_logits, data_samples)
        blocks = seg_logits.split([self.decode_head.set_size(name) for name in names], dim=1)
        for name, block in reversed(list(zip(names, blocks))):  # the first set is written last and stays
            data_samples = super().postprocess_result(block, data_samples)
            for sample in data_samples:
                sample.set_data({f'pred_sem_seg_{name}': PixelData(data=sample.pred_sem_seg.data)})
        return data_samples

    def _predicted_sets(self) -> List[str]:
        return list((self.test_cfg or {}).get('prototype_sets') or [self.decode_head.default_set])
