"""Weights and shifts of the correspondence loss by how the correlations of features are distributed."""
from typing import Dict

import torch
from torch import Tensor

from .correspondence_loss import Term

_LOW, _HIGH, _N_BINS = -3., 3., 6000  # centred correlations leave [-1, 1]


class Histogram:
    """How often correlations occur, in bins of 0.001.

    Attributes:
        counts (Tensor): (bins,) float64, on the host.
        centers (Tensor): (bins,) the correlations.
    """

    def __init__(self) -> None:
        self.counts = torch.zeros(_N_BINS, dtype=torch.double)
        step = (_HIGH - _LOW) / _N_BINS
        self.centers = _LOW + step * (torch.arange(_N_BINS, dtype=torch.double) + 0.5)

    def add(self, values: Tensor) -> None:
        """Count values of any shape."""
        self.counts += torch.histc(values.float().cpu(), _N_BINS, _LOW, _HIGH).double()

    @property
    def mean(self) -> float:
        return float(self.counts @ self.centers / self.counts.sum())

    def quantile(self, share: float) -> float:
        """The correlation below which so many are."""
        reached = self.counts.cumsum(0) >= share * self.counts.sum()
        return float(self.centers[reached.int().argmax()])

    def share_above(self, value: float) -> float:
        return float(self.counts[self.centers > value].sum() / self.counts.sum())

    def distance(self, value: float) -> float:
        """Mean distance from a value."""
        return float(self.counts @ (self.centers - value).abs() / self.counts.sum())


def terms_of(intra: Histogram, inter: Histogram, negative: Histogram, n_clusters: int) -> Dict[str, Term]:
    """Weight and shift of the three kinds of pairs, from their correlations.

    * The shift within an image and with its partner is where the centred correlations cross zero, their mean: two cells
      draw together if they are more alike than cells of such images are on average. Pull and push of these pairs are
      then equal, so they cannot draw all codes together or all apart.
    * The shift of other images is the quantile 1 - 1/K: with K clusters of equal size so many of the pairs of random
      cells would be of one cluster. The others push, so the negative pairs alone decide that codes do not collapse.
    * Weights are inverse to the mean distance of the correlations from their shift, with the sum 1: every kind of pair
      moves the codes as much as the others.

    Whatever the network, a positive factor or an offset of its correlations changes nothing of which pairs draw
    together.

    Raises:
        ValueError: all correlations of a kind are alike.
    """
    found = dict(intra=intra, inter=inter, negative=negative)
    shifts = dict(intra=intra.mean, inter=inter.mean, negative=negative.quantile(1 - 1 / n_clusters))
    distances = {kind: found[kind].distance(shift) for kind, shift in shifts.items()}
    for kind, distance in distances.items():
        if distance < 2 * (_HIGH - _LOW) / _N_BINS:
            raise ValueError(f'the correlations of the features are all {shifts[kind]:.3f} ({kind}), so they tell nothing '
                             'apart: check the weights of model.backbone (init=FILE)')
    total = sum(1 / distance for distance in distances.values())
    return {kind: Term(1 / distances[kind] / total, shift) for kind, shift in shifts.items()}
