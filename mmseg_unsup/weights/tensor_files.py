"""Files of weights for others: a checkpoint of torch, or safetensors."""
import json
from typing import Dict, Optional

import torch
from torch import Tensor

from ..hosts.safe_loading import SAFETENSORS, SAFETENSORS_META
from ..utils.atomic import write_from_memory


def check_writable(path: str) -> None:
    """Raise ImportError if a file of this name needs a package that is not there."""
    if path.endswith(SAFETENSORS):
        _package(path)


def write_weights(path: str, state: Dict[str, Tensor], meta: Optional[dict] = None, name: Optional[str] = None) -> None:
    """Write tensors, and ``meta`` beside them where it is given, as :func:`load_safely` reads them again.

    Args:
        state: tensors that share no memory with each other.
        meta: plain values that JSON has too.
        name: whose suffix says the format, where ``path`` is the name for the meantime.
    """
    if not (name or path).endswith(SAFETENSORS):
        content = state if meta is None else dict(meta=meta, state_dict=state)
        write_from_memory(path, lambda file: torch.save(content, file))
        return
    header = dict(format='pt') if meta is None else {'format': 'pt', SAFETENSORS_META: json.dumps(meta)}
    content = _package(name or path).save(state, header)
    write_from_memory(path, lambda file: file.write(content))


def _package(path: str):
    try:
        import safetensors.torch
    except ImportError:
        raise ImportError(f'{path} needs safetensors. Run: pip install "mmseg-unsup[safetensors]"') from None
    return safetensors.torch
