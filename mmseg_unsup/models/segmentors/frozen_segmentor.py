"""Clusters of the features of a network that nobody trains."""
from typing import List, NoReturn, Tuple

import torch
from torch import Tensor

from ...registry import MODELS
from .cluster_segmentor import ClusterSegmentor


def check_frozen(model: ClusterSegmentor) -> None:
    """Raise TypeError if the backbone of a method that needs a frozen one trains."""
    if not getattr(model.backbone, 'is_frozen', False):
        raise TypeError(f'model.backbone of {type(model).__name__} is a {type(model.backbone).__name__}, which trains: '
                        "put it into dict(type='mmseg_unsup.FrozenBackbone', backbone=...)")


@MODELS.register_module()
class FrozenSegmentor(ClusterSegmentor):
    """A :class:`mmseg_unsup.FrozenBackbone`, principal components of its outputs, and their clusters: nothing trains.

    ``mmseg-unsup test CONFIG none --save MODEL`` fits both to the training images and writes a model that all commands
    take.

    Raises:
        TypeError: the backbone is not frozen.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_frozen(self)

    def loss(self, inputs: List[Tensor], data_samples: list) -> NoReturn:
        """Raise RuntimeError: there is nothing to train."""
        raise RuntimeError('a FrozenSegmentor has nothing to train: fit its clusters by mmseg-unsup test CONFIG none '
                           '--save MODEL')

    @torch.no_grad()
    def extract_feat(self, inputs: Tensor) -> Tuple[Tensor, ...]:
        return super().extract_feat(inputs)
