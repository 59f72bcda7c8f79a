"""SmooSeg's loss: cells that look alike belong to one cluster."""
from torch import Tensor


def smoothness_loss(of_features: Tensor, of_shares: Tensor, shift: float) -> Tensor:
    """The mean of ``(F - shift) (1 - P)``: cells are assigned alike where their features correlate by more than
    ``shift``, and apart where by less.

    Args:
        of_features: F, (N, a, b, c, d), see :func:`~mmseg_unsup.models.losses.correspondence_loss.centred`.
        of_shares: P, likewise, cosines of the cells' shares of the clusters.

    Source: SmooSeg (arXiv 2310.17874), the smoothness term of its energy.
    """
    return ((of_features - shift) * (1 - of_shares)).mean()
