"""Clusters of the features of a network that nobody trains."""
from typing import List, NoReturn, Tuple

import torch
from torch import Tensor

from ...registry import MODELS
from .cluster_segmentor import ClusterSegmentor, ForwardMaps


@MODELS.register_module()
class FrozenSegmentor(ClusterSegmentor):
    """A :class:`mmseg_unsup.FrozenBackbone`, principal components of its outputs, and their clusters: nothing trains.

    ``mmseg-unsup test CONFIG none --save MODEL`` fits both to the training images and writes a model that all commands
    take.

    Args:
        test_cfg: see :class:`ClusterSegmentor`; besides ``flip``: predict with the mean of the features of an image and
            of its mirror image, turned back, as evaluations of the field do (STEGO's eval_segmentation.py). The
            clusters are fitted to images as they are.

    Raises:
        TypeError: the backbone is not frozen.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not getattr(self.backbone, 'is_frozen', False):
            raise TypeError(f'model.backbone of a FrozenSegmentor is a {type(self.backbone).__name__}, which trains: put '
                            "it into dict(type='mmseg_unsup.FrozenBackbone', backbone=...)")

    def loss(self, inputs: List[Tensor], data_samples: list) -> NoReturn:
        """Raise RuntimeError: there is nothing to train."""
        raise RuntimeError('a FrozenSegmentor has nothing to train: fit its clusters by mmseg-unsup test CONFIG none '
                           '--save MODEL')

    @torch.no_grad()
    def extract_feat(self, inputs: Tensor) -> Tuple[Tensor, ...]:
        return super().extract_feat(inputs)

    def predicting_feat(self, images: Tensor) -> Tuple[Tensor, ...]:
        feats = super().predicting_feat(images)
        if not (self.test_cfg or {}).get('flip'):
            return feats
        mirrored = super().predicting_feat(images.flip(-1))
        return tuple((feat + other.flip(-1)) / 2 for feat, other in zip(feats, mirrored))

    def predicting_map(self, images: Tensor) -> Tensor:
        return super().predicting_feat(images)[self.decode_head.in_index]

    def forward_maps(self, inputs: Tensor, metas=None) -> ForwardMaps:
        return self._maps(super().predicting_feat(inputs))
