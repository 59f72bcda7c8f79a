"""Images in pairs: each with one of its nearest neighbours."""
import torch

from ..registry import DATASETS
from ..utils.checks import check_count
from ..utils.random import keyed_generator
from .view_dataset import ViewDataset

_PARTNER = 5  # stream of the keyed generator, apart from those that views are drawn by
UNKNOWN = -1


@DATASETS.register_module()
class PartnerDataset(ViewDataset):
    """The views of an image, then the first view of a partner, drawn anew every epoch from the image's neighbours.

    :class:`mmseg_unsup.ImageNeighbourHook` finds the neighbours before the training; until then there are no partners.

    Args:
        n_neighbours: k, of which partners are drawn; 7 in the released code of STEGO.

    Attributes:
        neighbours (Tensor): (N, k) int64 image numbers in memory that workers share, -1 before they are known.

    Raises:
        ValueError: ``n_neighbours`` is no whole number from 1 on; see :class:`ViewDataset`.
    """

    def __init__(self, *args, n_neighbours: int = 7, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('n_neighbours', n_neighbours)
        self.neighbours = torch.full((len(self), n_neighbours), UNKNOWN).share_memory_()

    @property
    def knows_neighbours(self) -> bool:
        return int(self.neighbours[0, 0]) != UNKNOWN

    def partner_of(self, idx: int) -> int:
        """The image that goes with another in this epoch."""
        seed, epoch, _ = self._key.tolist()
        place = keyed_generator(seed, epoch, idx, _PARTNER).integers(self.neighbours.size(1))
        return int(self.neighbours[idx, place])

    def _views(self, idx: int, replaced: bool) -> dict:
        own = super()._views(idx, replaced)
        if self.knows_neighbours:
            partner = self._policy.load(self.partner_of(idx), super()._views)
            own['inputs'] = [*own['inputs'], partner['inputs'][0]]
        return own
