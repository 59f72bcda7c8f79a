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

    def crossing(self, other: 'Histogram') -> float:
        """The correlation above which these are more frequent than others: where the shares below it differ most."""
        lead = other.counts.cumsum(0) / other.counts.sum() - self.counts.cumsum(0) / self.counts.sum()
        return float(self.centers[lead.argmax()])

    def share_above(self, value: float) -> float:
        return float(self.counts[self.centers > value].sum() / self.counts.sum())

    def distance(self, value: float) -> float:
        """Mean distance from a value."""
        return float(self.counts @ (self.centers - value).abs() / self.counts.sum())


def terms_of(intra: Histogram, inter: Histogram, negative: Histogram, n_clusters: int) -> Dict[str, Term]:
    """Weight and shift of the three kinds of pairs, from their correlations.

    * The shift within an image, and with its partner, is where the density of these correlations crosses that of other
      images: two cells draw together if a correlation like theirs is found more often there than between images that
      have nothing to do with each other.
    * The shift of other images is the quantile 1 - 1/K: with K clusters of equal size so many of the pairs of random
      cells would be of one cluster. The others push.
    * Weights are inverse to the mean distance of the correlations from their shift, with the sum 1: every kind of pair
      moves the codes as much as the others. The weight of other images is larger where their push on codes that are all
      alike would be less than the pull of the first two kinds, which would leave them so.

    Whatever the network, a positive factor or an offset of its correlations changes nothing of which pairs draw
    together.

    Raises:
        ValueError: all correlations of a kind are alike.
    """
    found = dict(intra=intra, inter=inter, negative=negative)
    shifts = dict(intra=intra.crossing(negative), inter=inter.crossing(negative),
                  negative=negative.quantile(1 - 1 / n_clusters))
    distances = {kind: found[kind].distance(shift) for kind, shift in shifts.items()}
    for kind, distance in distances.items():
        if distance < 2 * (_HIGH - _LOW) / _N_BINS:
            raise ValueError(f'the correlations of the features are all {shifts[kind]:.3f} ({kind}), so they tell '
                             'nothing apart: check the weights of model.backbone (init=FILE)')
    weights = {kind: 1 / distance for kind, distance in distances.items()}
    pull = sum(weights[kind] * (found[kind].mean - shifts[kind]) for kind in ('intra', 'inter'))
    push = max(shifts['negative'] - negative.mean, distances['negative'] / 4)  # of two clusters it may be none
    weights['negative'] = max(weights['negative'], pull / push)
    return {kind: Term(weight / sum(weights.values()), shifts[kind]) for kind, weight in weights.items()}
