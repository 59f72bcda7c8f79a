"""A device that the host has to wait for, without a GPU: it computes on the CPU, and notes who reads what it holds."""
import traceback
from contextlib import ExitStack
from typing import List, Optional
from unittest import mock

import torch
from torch import nn
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from mmseg_unsup.utils import devices

# the only device whose name torch takes without a driver, and whose gradients it computes in this thread
NAME = torch.device('meta')
# sizes that the host must know, or values; boolean indices ask by `nonzero`
_READERS = ('_local_scalar_dense', 'nonzero', 'masked_select', 'bincount', '_unique2', 'unique_dim',
            'unique_consecutive', 'equal', 'repeat_interleave', 'is_nonzero')
_PACKAGES = ('mmseg_unsup', 'mmengine', 'mmseg', 'mmcv')


class OnDevice(torch.Tensor):
    """A tensor that says it lies on the device."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        self = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=NAME)
        self.held = held
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})[0]

    def tolist(self):  # torch's own refuses subclasses
        return self.cpu().tolist()

    def __repr__(self):
        return f'OnDevice({self.held})'


def run(func, args, kwargs):
    """Compute on the CPU; the result, on the device if an input is, and whether the host has waited."""
    name, inputs = func._schema.name.split('::')[1], []
    tree_map_only(torch.Tensor, inputs.append, (args, kwargs))
    is_on = [isinstance(each, OnDevice) for each in inputs]
    target = kwargs.get('device')
    if target is not None:
        kwargs = dict(kwargs, device='cpu')
    held = tree_map_only(OnDevice, lambda each: each.held, (args, kwargs))
    result = func(*held[0], **held[1])
    stays = any(is_on) if target is None else torch.device(target) == NAME
    waits = any(is_on) and name in _READERS
    if name == '_to_copy' and target is not None:
        waits = is_on[0] != stays and not kwargs.get('non_blocking', False)
    elif name == 'copy_':
        waits = is_on[0] != is_on[1] and not (kwargs.get('non_blocking', False) or True in args[2:])
        return args[0], waits
    elif name == 'index' and any(is_on):  # a mask
        waits = any(each.dtype == torch.bool for each in inputs[1:])
    writes = [i for i, each in enumerate(func._schema.arguments) if each.alias_info and each.alias_info.is_write]
    if writes and len(func._schema.returns) == 1 and isinstance(result, torch.Tensor):
        return (args[writes[0]] if writes[0] < len(args) else kwargs['out']), waits
    return (tree_map_only(torch.Tensor, OnDevice, result) if stays else result), waits


class Waiting(TorchDispatchMode):
    """Inside it tensors can be made on the device.

    Attributes:
        places (list): ``file:function`` of every time that the host has waited for it, by the innermost frame of a
            package of the stack.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: List[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result, waits = run(func, args, kwargs or {})
        if waits:
            self.places.append(_place())
        return result

    def __enter__(self):
        self._patches = ExitStack()
        for patch in (mock.patch.object(devices, 'ASYNCHRONOUS', (NAME.type, )),
                      mock.patch.object(torch.Tensor, 'pin_memory', lambda values: values),
                      mock.patch.object(torch.cuda, 'Event', mock.Mock),
                      mock.patch.object(torch, 'autocast', _autocast),
                      mock.patch.object(optimizer, '_get_fused_kernels_supported_devices',
                                        return_value=[NAME.type, 'cpu'])):
            self._patches.enter_context(patch)
        return super().__enter__()

    def __exit__(self, *args):
        self._patches.close()
        return super().__exit__(*args)


def _autocast(device_type: str, *args, original=torch.autocast, **kwargs):
    return original('cpu' if device_type == NAME.type else device_type, *args, **kwargs)


def _place() -> Optional[str]:
    for frame in reversed(traceback.extract_stack()):
        parts = frame.filename.replace('\\', '/').split('/')
        package = next((name for name in _PACKAGES if name in parts[:-1]), None)
        if package:
            return f'{package}/{parts[-1]}:{frame.name}'
    return None


def move(model: nn.Module) -> None:
    """Put parameters and buffers on the device."""
    for module in model.modules():
        for name, param in module._parameters.items():
            if param is not None:
                module._parameters[name] = nn.Parameter(OnDevice(param.data), param.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = OnDevice(buffer)
        if hasattr(module, '_device'):
            module._device = NAME
