"""DeepLabV3 head that embeds pixels and tells objects from background."""
from typing import Optional, Sequence, Tuple

import torch
from mmcv.cnn import ConvModule
from mmengine.dist import get_world_size
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...registry import MODELS


class ASPP(BaseModule):
    """Atrous spatial pyramid pooling: a 1x1 and dilated 3x3 convolutions and the image mean, projected together.

    mmseg's ``ASPPHead`` is another network: it projects by one 3x3 convolution and has no layer after it.

    Source: arXiv 1706.05587, section 3.3; layers as in torchvision's DeepLabV3.
    """

    def __init__(self, in_channels: int, channels: int, dilations: Sequence[int], dropout_ratio: float,
                 norm_cfg: dict) -> None:
        super().__init__()
        self.branches = nn.ModuleList([ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg)])
        self.branches.extend(
            ConvModule(in_channels, channels, 3, padding=rate, dilation=rate, norm_cfg=norm_cfg) for rate in dilations)
        self.image_mean = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg)
        self.project = ConvModule((len(dilations) + 2) * channels, channels, 1, norm_cfg=norm_cfg)
        self.dropout = nn.Dropout(dropout_ratio)

    def forward(self, feat: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, channels, h, w)."""
        outs = [branch(feat) for branch in self.branches]
        outs.append(self._embed_mean(feat).expand_as(outs[0]))
        return self.dropout(self.project(torch.cat(outs, 1)))

    def _embed_mean(self, feat: Tensor) -> Tensor:
        """(N, channels, 1, 1); a single value has no variance, so one image alone takes the running statistics."""
        mean, norm = feat.mean((2, 3), keepdim=True), self.image_mean.norm
        n_processes = get_world_size() if isinstance(norm, nn.SyncBatchNorm) else 1
        # asking len() outside training would tie an exported model to one batch size
        alone = norm.training and isinstance(norm, _BatchNorm) and len(feat) * n_processes == 1
        if not alone:
            return self.image_mean(mean)
        norm.eval()
        try:
            return self.image_mean(mean)
        finally:
            norm.train()


@MODELS.register_module()
class EmbeddingHead(BaseModule):
    """ASPP and a 3x3 convolution, the *trunk*, under two 1x1 convolutions: embedding and saliency.

    Args:
        in_channels: C of the backbone's map.
        channels: of the trunk.
        embedding_channels: D.
        dilations: of the ASPP branches; (12, 24, 36) is for stride 8.
        dropout_ratio: after the projection of ASPP.
        in_index: which of the backbone's outputs to use.
        saliency_threshold: a pixel is predicted as object where its saliency logit exceeds it.

    Source: MaskContrast (arXiv 2102.06191), section 4.1. The published threshold is a logit of 0.5, that is a
    probability of 0.62.
    """

    # what mmseg's segmentors read: object or not, by one channel
    num_classes, out_channels = 2, 1

    def __init__(self,
                 in_channels: int = 2048,
                 channels: int = 256,
                 embedding_channels: int = 32,
                 dilations: Sequence[int] = (12, 24, 36),
                 dropout_ratio: float = 0.5,
                 in_index: int = -1,
                 norm_cfg: dict = dict(type='SyncBN', requires_grad=True),
                 saliency_threshold: float = 0.5,
                 align_corners: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.channels, self.embedding_channels = in_channels, channels, embedding_channels
        self.in_index, self.align_corners = in_index, align_corners
        self.saliency_threshold = saliency_threshold
        self.aspp = ASPP(in_channels, channels, dilations, dropout_ratio, norm_cfg)
        self.smooth = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg)
        self.embedding = nn.Conv2d(channels, embedding_channels, 1)
        self.saliency = nn.Conv2d(channels, 1, 1, bias=False)

    def trunk(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Outputs of the backbone -> (N, channels, h, w), the features that a linear probe reads."""
        return self.smooth(self.aspp(feats[self.in_index]))

    def forward(self, feats: Tuple[Tensor, ...]) -> Tuple[Tensor, Tensor]:
        """Outputs of the backbone -> (N, D, h, w) embeddings, not of unit length, and (N, 1, h, w) saliency logits."""
        trunk = self.trunk(feats)
        return self.embedding(trunk), self.saliency(trunk)
