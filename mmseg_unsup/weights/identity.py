"""Which weights a network has, in a few bytes."""
from typing import Dict

import torch
from torch import Tensor

from ..functional import fingerprint

# old files lack them, and only batch norm without momentum reads them
COUNTER = 'num_batches_tracked'
# of transformers; only pre-training reads it, and timm's copies of official files lack it
MASK_TOKEN = 'mask_token'


def weights_identity(state: Dict[str, Tensor]) -> Tensor:
    """(16,) int64 hexadecimal digits of a hash of the weights of a network, by its state dict; counters of batches
    and mask tokens do not count. They are small, so that a mean over processes, as SyncBuffersHook takes it, leaves
    them as they are."""
    digest = fingerprint([value for name, value in sorted(state.items()) if not name.endswith((COUNTER, MASK_TOKEN))])
    return torch.tensor([int(digit, 16) for digit in digest])


def identity_text(identity: Tensor) -> str:
    """The digits of an identity, of this program or of a file, as text."""
    return ''.join(f'{digit % 16:x}' for digit in identity.flatten().long().tolist())
