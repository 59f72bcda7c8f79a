"""Clusters that are trained, and the moving average of them that predicts."""
import copy
from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_count, check_share
from .cluster_set import ClusterSet


@MODELS.register_module()
class AveragedSet(ClusterSet):
    """A set of clusters that is trained, the *student*, and its moving average, the *teacher*, which scores.

    The segmentor calls :meth:`follow` after every step of the optimiser. From a checkpoint with a set of the student's
    kind in its place both start with that.

    Args:
        of: config of the set.
        momentum: share of the student that the teacher takes at a move.
        interval: steps between two moves.
        ramp: the teacher is a copy at moves 1 and 2 and takes the shares 1/3, 1/4, 1/5 ... at those that follow, until
            these are below ``momentum``: it is the mean of what the student was, as in the released code of PriMaPs.

    Attributes:
        student (ClusterSet), teacher (ClusterSet): the teacher gets no gradient.
        steps (Tensor): int64 number of the calls of :meth:`follow`.

    Raises:
        ValueError: ``momentum`` is no share; ``interval`` is no whole number from 1 on; see :class:`ClusterSet`.
    """

    def __init__(self,
                 in_channels: int,
                 n_clusters: int,
                 of: dict = dict(type='mmseg_unsup.CosineClusterSet'),
                 momentum: float = 0.002,
                 interval: int = 1,
                 ramp: bool = False) -> None:
        super().__init__(in_channels, n_clusters)
        check_share('momentum', momentum)
        check_count('interval', interval)
        self.momentum, self.interval, self.ramp = momentum, interval, ramp
        self.student = MODELS.build(dict(of, in_channels=in_channels, n_clusters=n_clusters))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.scores_are_shares = self.student.scores_are_shares
        self.scores_are_logits = self.student.scores_are_logits
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def forward(self, feats: Tensor) -> Tensor:
        return self.teacher(feats)

    def loss(self, feats: Tensor) -> Tensor:
        """(N, C, h, w) features -> the mean cross-entropy of the student's scores with the teacher's winners; in
        float32 also under autocast."""
        with torch.autocast(feats.device.type, enabled=False):
            feats = feats.float()
            return F.cross_entropy(self.student(feats), self.teacher(feats).argmax(1))

    @torch.no_grad()
    def restart(self) -> None:
        """Make the teacher a copy of the student, and count from 0 again."""
        self.teacher.load_state_dict(self.student.state_dict())
        self.steps.zero_()

    @torch.no_grad()
    def follow(self) -> None:
        """Move the teacher, where it is time for that, after a step of the student's optimiser."""
        self.steps += 1
        share = torch.full_like(self.steps, self.momentum, dtype=torch.float64)
        if self.ramp:
            move = self.steps / self.interval
            share = torch.maximum(share, torch.where(move > 2, 1 / move, 1))
        share = torch.where(self.steps % self.interval == 0, share, 0)  # on the device: no host waits for the number
        for own, student in zip(self.teacher.parameters(), self.student.parameters()):
            own.lerp_(student, share.to(own))

    def tensors(self) -> List[Tensor]:
        return self.teacher.tensors()

    @property
    def centers(self) -> Optional[Tensor]:
        return self.teacher.centers

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        own = {f'{prefix}{part}.{name}' for part in ('student', 'teacher') for name in self.student.state_dict()}
        if not own & state_dict.keys():
            for name in self.student.state_dict():
                if prefix + name in state_dict:
                    value = state_dict.pop(prefix + name)
                    state_dict.update({f'{prefix}{part}.{name}': value for part in ('student', 'teacher')})
        super()._load_from_state_dict(state_dict, prefix, *args)
