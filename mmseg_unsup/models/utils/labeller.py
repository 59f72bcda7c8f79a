"""The copy of a model that labels its views and is never trained itself."""
import copy

import torch
from torch import Tensor, nn


class Labeller(nn.Module):
    """Backbone and neck as they were at the last clustering, or their moving average; always in eval mode.

    A frozen copy gives, during an epoch, the labels that a second pass over the data would have stored, so none need
    to be stored. It is part of the state dict: a checkpoint of any iteration is complete.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck = copy.deepcopy(backbone), copy.deepcopy(neck)
        # initialised by the first clustering; its own init_cfg would read the pre-trained file a second time
        for module in self.modules():
            if hasattr(module, 'is_init'):
                module.is_init = True
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> 'Labeller':
        return super().train(False)

    @torch.no_grad()
    def update(self, backbone: nn.Module, neck: nn.Module) -> None:
        """Become a copy of ``backbone`` and ``neck``."""
        self.backbone.load_state_dict(backbone.state_dict())
        self.neck.load_state_dict(neck.state_dict())

    @torch.no_grad()
    def average(self, backbone: nn.Module, neck: nn.Module, momentum: float) -> None:
        """Move by the share ``momentum`` towards ``backbone`` and ``neck``, running statistics included."""
        for target, source in ((self.backbone, backbone), (self.neck, neck)):
            sources = source.state_dict()
            for name, value in target.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(sources[name], momentum)
                else:
                    value.copy_(sources[name])

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        return self.neck(self.backbone(inputs))
