"""What a checkpoint keeps of a running process besides model, optimiser and schedulers."""
import hashlib
import random
from typing import Dict, List, Optional

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.logging import HistoryBuffer
from mmengine.utils import apply_to
from torch import Tensor

from .feature_pass import unwrap


def random_state() -> dict:
    """The global generators of ``random``, ``numpy``, ``torch`` and CUDA, as tensors and plain values."""
    kind, words, *rest = np.random.get_state()
    return dict(
        python=list(random.getstate()),
        numpy=[kind, torch.from_numpy(words.astype(np.int64)), *rest],
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state() if torch.cuda.is_available() else None)


def set_random_state(state: dict) -> None:
    """Put the global generators where :func:`random_state` found them."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    kind, words, *rest = state['numpy']
    np.random.set_state((kind, words.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


def gather_rank_states(runner, randomness: dict) -> List[dict]:
    """Per rank its random state, the buffers that differ from those of rank 0, and gradients not yet applied.

    Collective. Without ``SyncBN`` batch statistics differ between ranks until the end of the epoch.
    """
    buffers = dict(unwrap(runner.model).named_buffers())
    digests = {name: _digest(buffer) for name, buffer in buffers.items()} if get_world_size() > 1 else {}
    first = all_gather_object(digests)[0]
    own = dict(
        random=randomness,
        buffers={name: buffers[name].cpu() for name, digest in digests.items() if digest != first[name]},
        gradients=_pending_gradients(runner))
    return all_gather_object(own)


def restore_rank_state(runner, state: dict) -> None:
    """Put back buffers and gradients of this rank; the random state is for the loop."""
    model = unwrap(runner.model)
    buffers, params = dict(model.named_buffers()), dict(model.named_parameters())
    for name, value in state['buffers'].items():
        buffers[name].copy_(value)
    for name, value in state['gradients'].items():
        params[name].grad = torch.empty_like(params[name]).copy_(value)


def own_state(states: List[dict]) -> Optional[dict]:
    """The entry of this rank, or None if the checkpoint is of another number of processes."""
    return states[get_rank()] if len(states) == get_world_size() else None


def pack_history(checkpoint: dict) -> None:
    """Turn the message hub into tensors and plain values: mmengine's class could not be read without running code."""
    checkpoint['message_hub'] = apply_to(checkpoint['message_hub'], lambda value: isinstance(value, np.generic),
                                         lambda value: value.item())
    scalars = checkpoint['message_hub']['log_scalars']
    for key, buffer in scalars.items():
        if isinstance(buffer, HistoryBuffer):
            values, counts = (torch.from_numpy(np.array(part)) for part in buffer.data)
            scalars[key] = dict(values=values, counts=counts, max_length=buffer.max_length)


def unpack_history(checkpoint: dict) -> None:
    """Undo :func:`pack_history`."""
    scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for key, packed in scalars.items():
        if isinstance(packed, dict):
            values, counts = (packed[name].cpu().numpy() for name in ('values', 'counts'))
            scalars[key] = HistoryBuffer(values, counts, packed['max_length'])


def _digest(tensor: Tensor) -> bytes:
    return hashlib.sha256(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()).digest()


def _pending_gradients(runner) -> Dict[str, Tensor]:
    """Gradients of an accumulation that is not complete."""
    if getattr(runner.optim_wrapper, '_accumulative_counts', 1) == 1 or runner.optim_wrapper.should_update():
        return {}
    named = unwrap(runner.model).named_parameters()
    return {name: param.grad.cpu() for name, param in named if param.grad is not None}
