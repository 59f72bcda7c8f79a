"""Clusters that are communities of cells."""
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_positive
from ..losses.modularity_loss import modularity_loss
from .cluster_set import CosineClusterSet


@MODELS.register_module()
class ModularitySet(CosineClusterSet):
    """Trained directions whose clusters join the cells of an image that are more alike than by chance: the cluster
    probe of CAUSE (arXiv 2310.07379).

    They start as short as its codebook, uniform from -1/K to 1/K: Adam turns short ones quickly.

    Args:
        temperature: of :func:`mmseg_unsup.models.losses.modularity_loss`.

    Raises:
        ValueError: a temperature that is not positive.
    """

    def __init__(self, in_channels: int, n_clusters: int, temperature: float = 0.1) -> None:
        super().__init__(in_channels, n_clusters)
        check_positive('temperature', temperature)
        self.temperature = temperature
        nn.init.uniform_(self.weight, -1 / n_clusters, 1 / n_clusters)

    def loss(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) features -> minus their modularity."""
        return modularity_loss(feats.flatten(2).transpose(1, 2), self.weight, self.temperature)
