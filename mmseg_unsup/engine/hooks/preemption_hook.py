"""A run that is told to stop saves its state and says that it can be continued."""
import threading

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...registry import HOOKS
from ...utils.preemption import EXIT_CODE, Preempted, listening, protect_workers, stop_if_asked
from ..loops import ResumableTrainLoop


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM or SIGUSR1 the run finishes its step, batch of validation or chunk of clustering, writes
    ``preempted.pth`` by :class:`mmseg_unsup.AtomicCheckpointHook` and exits with status 75 (``EX_TEMPFAIL``); a second
    signal ends it at once.

    All ranks stop at the same place if one of them was told. An evaluation or a clustering is repeated when the run
    continues. ``tools/slurm_train.sh`` requeues a job with this status, and ``tools/dist_train.sh`` passes it on, but
    must not get SIGUSR1 itself; ``torchrun`` reports every failure as 1.
    """

    priority = 'LOWEST'  # a step is finished when the other hooks have seen it

    def before_run(self, runner) -> None:
        """Take over the signals while the training loop runs, however it ends; Python allows that in the main thread
        only."""
        is_training = isinstance(runner._train_loop, BaseLoop)
        if is_training and threading.current_thread() is threading.main_thread():
            runner._train_loop.run = listening()(runner._train_loop.run)
            for loop in (runner._train_loop, runner._val_loop):
                if isinstance(loop, BaseLoop):
                    protect_workers(loop.dataloader)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Loops of mmengine do not stop by themselves."""
        if not isinstance(runner.train_loop, ResumableTrainLoop):
            try:
                stop_if_asked()
            except Preempted:
                runner.train_loop._iter += 1  # the step is done
                runner.call_hook('on_preemption')
                raise SystemExit(EXIT_CODE) from None

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Stop after a batch that all ranks have."""
        loader = runner.val_dataloader
        n_shared = len(loader.dataset) // (runner.world_size * (loader.batch_size or 1))
        is_shared = runner.world_size == 1 or batch_idx < n_shared
        if isinstance(runner._train_loop, ResumableTrainLoop) and is_shared:
            stop_if_asked()
