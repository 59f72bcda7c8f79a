"""Which weights a network has, in a few bytes."""
from typing import Dict

import torch
from torch import Tensor

from ..functional import fingerprint

# old files lack them, and only batch norm without momentum reads them
COUNTER = 'num_batches_tracked'
_DIGITS = 16


def weights_identity(state: Dict[str, Tensor]) -> Tensor:
    """(8,) uint8 hash of the weights of a network, by its state dict; counters of batches do not count."""
    digest = fingerprint([value for name, value in sorted(state.items()) if not name.endswith(COUNTER)])
    return torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8)


def identity_text(identity: Tensor) -> str:
    """An identity, of this program or of a file, in 16 hexadecimal digits."""
    return bytes(identity.flatten().to(torch.uint8).tolist()).hex()[:_DIGITS]
