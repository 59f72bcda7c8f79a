"""The frozen copy of a model that labels its views."""
import copy

import torch
from torch import Tensor, nn


class Labeller(nn.Module):
    """Backbone and neck as they were at the last clustering; always in eval mode, never trained.

    Labels drawn from it during an epoch are those that a second pass over the data would have stored, so none need to
    be stored. It is part of the state dict: a checkpoint of any iteration is complete.
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
    def forward(self, inputs: Tensor) -> Tensor:
        return self.neck(self.backbone(inputs))
