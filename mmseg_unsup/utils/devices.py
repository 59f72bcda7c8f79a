"""Devices by the names that users give."""
import torch


def check_device(name: str) -> None:
    """Raise ValueError unless torch can compute on the device of this name, such as ``cuda:1``."""
    try:
        torch.empty(0, device=name)
    except (AssertionError, NotImplementedError, RuntimeError):  # AssertionError: built without CUDA
        known = ['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))]
        raise ValueError(f'the device {name!r} cannot be used: torch {torch.__version__} has {", ".join(known)} here'
                         ) from None
