"""Schedules of the learning rate."""
from mmengine.optim import PolyLR

from ..registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class FullPolyLR(PolyLR):
    """The learning rate ``eta_min + (lr - eta_min) (1 - epoch / end)^power``; ``end`` is by default ``max_epochs``.

    That of mmengine is at ``eta_min`` in the last epoch, this one would be in the epoch after it.
    """

    def __init__(self, optimizer, *args, end: int, **kwargs) -> None:
        super().__init__(optimizer, *args, end=end + 1, **kwargs)
