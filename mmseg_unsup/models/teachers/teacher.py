"""A copy of the parts of a model that train, which is never trained itself."""
import copy
from typing import Sequence, Tuple

import torch
from torch import Tensor, nn


class Teacher(nn.Module):
    """Parts of a network, one after the other, as they were at some time, or their moving average; always in eval mode.

    It is in the state dict: a checkpoint of any iteration is complete. Parts that are frozen for ever are not copied,
    they are those of the student.

    Args:
        student: has the parts.
        parts: their names, in the order of the forward pass; those that the student lacks are left out.
    """

    def __init__(self, student: nn.Module, parts: Sequence[str] = ('backbone', 'neck')) -> None:
        super().__init__()
        self._shared = {}  # no submodules: they are in the state dict of the student
        self.parts = [name for name in parts if isinstance(getattr(student, name, None), nn.Module)]
        for name in self.parts:
            part = getattr(student, name)
            if getattr(part, 'is_frozen', False):
                self._shared[name] = part
            else:
                self.add_module(name, copy.deepcopy(part))
        # initialised by the first copy; their own init_cfg would read the pre-trained file a second time
        for module in self.modules():
            if hasattr(module, 'is_init'):
                module.is_init = True
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> 'Teacher':
        return super().train(False)

    @torch.no_grad()
    def copy(self, student: nn.Module) -> None:
        """Become a copy of the student's parts."""
        for name, part in self.named_children():
            part.load_state_dict(getattr(student, name).state_dict())

    @torch.no_grad()
    def average(self, student: nn.Module, momentum: float) -> None:
        """Move by the share ``momentum`` towards the student, running statistics included."""
        for name, part in self.named_children():
            sources, own = getattr(student, name).state_dict(), part.state_dict()
            floats = [key for key, value in own.items() if value.is_floating_point()]
            if floats:  # one launch for many tensors
                torch._foreach_lerp_([own[key] for key in floats], [sources[key] for key in floats], momentum)
            for key in own.keys() - floats:
                own[key].copy_(sources[key])

    def follow(self, student: nn.Module, steps_per_epoch: float) -> None:
        """Move after a step of the student's optimiser; a copy stays as it is."""

    def check_fitted(self) -> None:
        """Raise RuntimeError if it has no targets yet."""

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> what the last part gives."""
        outputs = images
        for name in self.parts:
            outputs = (self._shared[name] if name in self._shared else getattr(self, name))(outputs)
        return outputs
