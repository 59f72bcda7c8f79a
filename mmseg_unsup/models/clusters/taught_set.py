"""Classes that are taught by labels, in the place of clusters."""
from typing import List

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ...registry import MODELS
from .cluster_set import ClusterSet


@MODELS.register_module()
class TaughtSet(ClusterSet):
    """Classes of a convolution of 3x3 cells with batch norm, and a linear layer behind it, which labels train: the head
    of mmseg's Semantic FPN (``FPNHead``) on one level, without its dropout.

    Scores are probabilities, so the score of the winner, on average over the pixels of an image, is how sure the set is
    of it.

    Args:
        n_clusters: K, the classes.
        channels: of the convolution.
    """

    scores_are_shares = True

    def __init__(self, in_channels: int, n_clusters: int, channels: int = 128) -> None:
        super().__init__(in_channels, n_clusters)
        self.hidden = ConvModule(in_channels, channels, 3, padding=1, norm_cfg=dict(type='SyncBN'))
        self.classifier = nn.Conv2d(channels, n_clusters, 1)

    def logits(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, K, h, w), what is trained."""
        return self.classifier(self.hidden(feats))

    def forward(self, feats: Tensor) -> Tensor:
        return self.logits(feats).softmax(1)

    def tensors(self) -> List[Tensor]:
        return [*self.parameters()]
