"""Modules whose buffers grow, such as what is fitted or collected in a run."""
from typing import Tuple

from torch import nn


class SizedModule(nn.Module):
    """A module with buffers of which a checkpoint may have more or fewer rows.

    Attributes:
        sized (tuple): names of the buffers that become as large as those of the checkpoint that is loaded.
    """

    sized: Tuple[str, ...] = ()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        for name in self.sized:
            stored, own = state_dict.get(prefix + name), getattr(self, name)
            if stored is not None and stored.shape[1:] == own.shape[1:]:
                setattr(self, name, own.new_zeros(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
