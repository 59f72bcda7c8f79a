"""Devices by the names that users give, how exactly they multiply, and what moves between them and the host."""
from contextlib import contextmanager
from typing import Iterator

import torch
from torch import Tensor

ASYNCHRONOUS = ('cuda', )
PRECISIONS = ('highest', 'high', 'medium')


def default_device() -> str:
    """A GPU where there is one, else the CPU."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def check_device(name: str) -> None:
    """Raise ValueError unless torch can compute on the device of this name, such as ``cuda:1``."""
    try:
        torch.empty(0, device=name)
    except (AssertionError, NotImplementedError, RuntimeError):  # AssertionError: built without CUDA
        known = ['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))]
        raise ValueError(f'the device {name!r} cannot be used: torch {torch.__version__} has {", ".join(known)} here'
                         ) from None


@contextmanager
def full_float32() -> Iterator[None]:
    """A block in which products of float32 matrices are not rounded to TF32, whatever
    ``env_cfg.float32_matmul_precision`` allows: of nearly equal distances the smaller one wins."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def is_asynchronous(device: torch.device) -> bool:
    """Whether a device computes behind the back of the host, which reads a value only by waiting for it."""
    return device.type in ASYNCHRONOUS


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Host values on a device; a GPU fetches them from pinned memory when it gets there, the host goes on."""
    return values.pin_memory().to(device, non_blocking=True) if is_asynchronous(device) else values.to(device)


class Readback:
    """A tensor of a device on its way to the host, which does other things meanwhile.

    Args:
        values: on any device; of the host they are there at once.
    """

    def __init__(self, values: Tensor) -> None:
        self._values, self._event = values.detach(), None
        if is_asynchronous(values.device):
            self._values = torch.empty(values.shape, dtype=values.dtype).pin_memory()
            self._values.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def wait(self) -> Tensor:
        """The values on the host, as soon as the device has computed them."""
        if self._event is not None:
            self._event.synchronize()
        return self._values.cpu()
