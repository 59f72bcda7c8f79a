"""Principal components of rows that arrive in pieces and on several ranks."""
from typing import Sequence, Tuple

import torch
from mmengine.dist import all_reduce
from torch import Tensor


class StreamingPCA:
    """Accumulates first and second moments in float64; memory (C, C) whatever the number of rows.

    Args:
        n_channels: C.
        device: of the rows.

    Attributes:
        explained_ (float): share of the variance that the last :meth:`projection` keeps.
    """

    def __init__(self, n_channels: int, device: torch.device = torch.device('cpu')) -> None:
        self._moments = torch.zeros((n_channels + 1, n_channels + 1), dtype=torch.double, device=device)

    def add(self, rows: Tensor) -> None:
        """Take (N, C) float32 rows. No collective."""
        ones = rows.new_ones((len(rows), 1))
        extended = torch.cat([rows, ones], 1)
        self._moments += extended.t() @ extended  # float32 within a piece, float64 across pieces

    def n_rows(self) -> int:
        """Rows of all ranks. Collectives: one all-reduce."""
        count = self._moments[-1:, -1].clone()
        all_reduce(count)
        return int(count)

    def covariance(self) -> Tuple[Tensor, Tensor]:
        """Mean (C,) and covariance (C, C) of the rows of all ranks, float64.

        Collectives: one all-reduce of ``(C + 1, C + 1)``.
        """
        moments = self._moments.clone()
        all_reduce(moments)
        mean = moments[-1, :-1] / moments[-1, -1]
        return mean, moments[:-1, :-1] / moments[-1, -1] - torch.outer(mean, mean)

    def projection(self, n_components: int, group_sizes: Sequence[int],
                   group_weights: Sequence[float]) -> Tuple[Tensor, Tensor]:
        """Weight (n_components, C) and bias (n_components,) of the projection of a raw row, float64.

        Channels form groups (the levels of a backbone). Each is centred and scaled so that its mean squared norm is
        the square of its weight; then come the leading eigenvectors of the covariance. The output has mean 0 and mean
        squared norm 1.

        Collectives: that of :meth:`covariance`.
        """
        mean, covariance = self.covariance()
        scale = torch.cat([
            weight / variance.sum().clamp(min=1e-12).sqrt().expand(len(variance))
            for variance, weight in zip(covariance.diagonal().split(list(group_sizes)), group_weights)
        ])
        scaled = covariance * torch.outer(scale, scale)
        values, vectors = torch.linalg.eigh(scaled)  # ascending
        values, vectors = values[-n_components:].flip(0), vectors[:, -n_components:].flip(1)
        self.explained_ = float(values.sum() / scaled.diagonal().sum())
        weight = (vectors * scale[:, None]).t() / values.clamp(min=0).sum().clamp(min=1e-12).sqrt()
        return weight, -weight @ mean
