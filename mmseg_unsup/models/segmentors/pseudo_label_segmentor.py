"""What methods share that train on the labels of a clustering."""
import math
from typing import List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_positive, is_finite
from ..utils import Labeller
from .view_segmentor import ViewSegmentor, parse_clusters


class PseudoLabelSegmentor(ViewSegmentor):
    """A :class:`mmseg_unsup.PixelClusteringHook` fits the prototypes of every head before an epoch; a *labeller*, a copy
    of backbone and neck, labels the views by them during the epoch.

    Args:
        labeller_epochs: None freezes the labeller from one clustering to the next, as released. A number makes it the
            exponential moving average of the weights over about that many epochs, whatever their number of steps;
            clustering and prediction then use the average too.
        over_clustering: further heads ``(K, weight)`` with prototypes, labels and loss terms of their own, which only
            train. K is a number of clusters or a multiple of the first head's, such as ``'2x'``. The loss is the mean
            over the heads by weight, where the first one has weight 1; the weight ``'log'`` is ``ln K_1 / ln K``,
            that of PiCIE+H: shares ``ln K / (ln K_1 + ln K)`` and ``ln K_1 / (ln K_1 + ln K)``.

    Raises:
        ValueError: a bad option.
    """

    def __init__(self,
                 *args,
                 decode_head: dict,
                 labeller_epochs: Optional[float] = None,
                 over_clustering: Sequence[Tuple[Union[int, str], Union[float, str]]] = (),
                 **kwargs) -> None:
        super().__init__(*args, decode_head=decode_head, **kwargs)
        if labeller_epochs is not None:
            check_positive('labeller_epochs', labeller_epochs)
        self.labeller_epochs = labeller_epochs
        self.labeller = Labeller(self.backbone, self.neck)
        further = [_parse_head(entry, self.decode_head.n_clusters) for entry in over_clustering]
        self.over_heads = nn.ModuleList(MODELS.build(dict(decode_head, n_clusters=k)) for k, _ in further)
        weights = [1., *(weight for _, weight in further)]
        self.head_weights = [weight / sum(weights) for weight in weights]

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

    def restart(self, generator: torch.Generator) -> List[nn.Parameter]:
        """After a clustering: initialise anew what depended on the old clusters, and return those parameters."""
        return []

    @property
    def feature_parts(self) -> Tuple[str, ...]:
        return ('labeller.', ) if self.averages_labeller else super().feature_parts

    def extract_feat(self, inputs: Tensor) -> Tuple[Tensor]:
        """(N, 3, H, W) -> a tuple of one (N, C, h, w) map; outside training, of the averaged weights if there are."""
        if self.averages_labeller and not self.training:
            return self.labeller(inputs)
        return super().extract_feat(inputs)

    @torch.no_grad()
    def pseudo_labels(self, views: List[Tensor], data_samples: list) -> List[List[Tensor]]:
        """V image batches -> per head, V maps (N, h, w) of the nearest prototype of their own view."""
        feats = self.extract_view_feats(views, data_samples, self.labeller)
        return [[head.assign(feat, v) for v, feat in enumerate(feats)] for head in self.heads]


def _parse_head(entry: Sequence, n_clusters: int) -> Tuple[int, float]:
    """``(K or 'Mx', weight or 'log')`` -> numbers."""
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        raise ValueError(f"over_clustering holds {entry!r}, but each entry must be (K, weight), as in [(100, 'log')]")
    k, weight = parse_clusters(entry[0], n_clusters), entry[1]
    if weight == 'log':
        weight = math.log(n_clusters) / math.log(k)
    if not is_finite(weight) or weight <= 0:
        raise ValueError(f"over_clustering: the weight of {entry!r} is neither positive nor 'log'")
    return k, float(weight)
