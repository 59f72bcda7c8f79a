"""Random draws inside the model that a resume repeats."""
import numpy as np
import torch
from mmengine.hooks import Hook

from ...registry import HOOKS


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds torch by ``(seed, iteration, rank)`` before every training iteration.

    Dropout and sampled anchors draw from the global generators of torch, whose state is in no checkpoint.
    """

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed the generators of this process, on the CPU and on its devices."""
        words = np.random.SeedSequence((runner.seed, runner.iter, runner.rank)).generate_state(2)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))
