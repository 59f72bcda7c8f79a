"""A network that is the moving average of the one that trains, and predicts."""
from typing import Sequence

from torch import nn

from ...utils.checks import check_share
from .teacher import Teacher


class AverageTeacher(Teacher):
    """The moving average of parts of a model after every step of the optimiser; its features predict.

    Args:
        student, parts: see :class:`Teacher`.
        further: parts of the student that are averaged but are no part of the features.
        momentum: share of the new weights after a step; 0.01 is a decay of 0.99.

    Raises:
        ValueError: the share is none.
    """

    predicts = True

    def __init__(self, student: nn.Module, parts: Sequence[str], further: Sequence[str] = (),
                 momentum: float = 0.01) -> None:
        check_share('momentum', momentum)
        super().__init__(student, (*parts, *further))
        self.parts = [name for name in self.parts if name in parts]
        self.momentum = momentum

    def follow(self, student: nn.Module, steps_per_epoch: float) -> None:
        """Take one step of the moving average after one of the optimiser."""
        self.average(student, self.momentum)
