"""Labels of cells by the prototypes of a clustering, in the features of a teacher."""
from contextlib import nullcontext
from typing import Callable, ContextManager, List, Optional, Sequence

import torch
from torch import Tensor, nn

from ...functional import unit, view_features
from ...registry import MODELS
from ...utils.checks import check_positive
from ..clusters import LabellingPrototypes, add_levels, nearest_prototypes
from ..clusters.over_clustering import Entry
from .teacher import Teacher


@MODELS.register_module()
class PrototypeTeacher(Teacher):
    """Labels the views of a batch by the nearest prototype of their own view.

    A :class:`mmseg_unsup.PixelClusteringHook` fits the prototypes before an epoch; they are the sets ``view1`` to
    ``viewV`` of the student's head. A teacher that is frozen during the epoch gives the labels that a second pass over
    the data would have stored, so none need to be stored.

    Args:
        student, parts: see :class:`Teacher`.
        num_views: V.
        epochs: None freezes the teacher from one clustering to the next, as released. A number makes it the exponential
            moving average of the weights over about that many epochs, whatever their number of steps; clustering and
            prediction then use the average too.
        over_clustering: further levels of clusters that only train, see :func:`add_levels`.
        rounding: of the crop on feature maps, see :func:`mmseg_unsup.functional.warp`.

    Attributes:
        levels (list): sets of prototypes, those that predict and those of ``over_clustering``.

    Raises:
        ValueError: a bad option; a batch of another number of views.
    """

    # makes the context of the network, see PrecisionHook
    no_grad_context: Callable[[], ContextManager] = nullcontext

    def __init__(self,
                 student: nn.Module,
                 num_views: int,
                 epochs: Optional[float] = None,
                 over_clustering: Sequence[Entry] = (),
                 rounding: Optional[str] = None,
                 parts: Sequence[str] = ('backbone', 'neck')) -> None:
        if epochs is not None:
            check_positive('model.target_generator.epochs', epochs)
        super().__init__(student, parts)
        self.epochs, self.rounding = epochs, rounding
        self._is_fitted = False
        head = student.decode_head
        self.in_index = head.in_index
        self.levels = add_levels(
            head, lambda k: LabellingPrototypes(head.in_channels, k, head.distance),
            [f'view{v + 1}' for v in range(num_views)], over_clustering)

    @property
    def predicts(self) -> bool:
        """Whether it is an average, which clustering and prediction use."""
        return self.epochs is not None

    def follow(self, student: nn.Module, steps_per_epoch: float) -> None:
        """Take one step of the moving average after one of the optimiser; a frozen teacher stays."""
        if self.epochs is not None:
            self.average(student, min(1., 1 / (self.epochs * steps_per_epoch)))

    @torch.no_grad()
    def forward(self, views: List[Tensor], data_samples: list) -> List[List[Tensor]]:
        """V image batches -> per level, V maps (N, h, w) of the nearest prototype on the grid of the first view."""
        with self.no_grad_context():
            maps = view_features(lambda images: self.extract(images)[self.in_index], views, data_samples, self.rounding)
        by_view = [nearest_prototypes([level.sets[v] for level in self.levels], unit(feats))
                   for v, feats in enumerate(maps)]
        return [list(of_level) for of_level in zip(*by_view)]

    def check_fitted(self) -> None:
        """Raise RuntimeError if there are no prototypes."""
        if not self._is_fitted:  # asked until it is so: the answer of a GPU takes time
            self._is_fitted = all(of_view.is_fitted for level in self.levels for of_view in level.sets)
        if not self._is_fitted:
            raise RuntimeError('there are no prototypes to label by: add clustering=dict(type='
                               "'mmseg_unsup.PixelClusteringHook') to default_hooks, which fits them before an epoch")
