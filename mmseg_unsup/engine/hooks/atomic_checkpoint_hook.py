"""Checkpoints that are whole or not there, and hold all that a run continues from."""
import logging
import os.path as osp
from typing import Callable, List, Optional

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop

from ...registry import HOOKS
from ...utils.atomic import remove_parts, replacing
from ...utils.console import say
from ...utils.distributed import on_first_rank
from ...utils.near_names import advice
from ..checkpoint_files import LAST, PREEMPTED, find_checkpoint, name_pattern, verify_checkpoint
from ..loops import ResumableTrainLoop
from ..run_state import (gather_rank_states, own_state, pack_history, random_state, restore_rank_state,
                         set_random_state, unpack_history)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """A drop-in for mmengine's ``CheckpointHook``, whose arguments it takes.

    A checkpoint is written beside its place, flushed to the disk, read back, renamed; then ``last_checkpoint`` is
    changed in the same way, and only then are old ones removed. Whenever the process or the machine stops, one
    checkpoint is whole. Besides model, optimiser, schedulers and message hub it holds, per rank, the random states of
    ``random``, ``numpy``, ``torch`` and CUDA, buffers that differ between ranks and gradients of an unfinished
    accumulation, and the position in the epoch (with ``train_cfg.type='mmseg_unsup.ResumableTrainLoop'``), so that
    ``by_epoch=False`` resumes exactly too. Files contain tensors and plain values only.

    A run that is to resume from its folder takes the most advanced checkpoint that can be read wholly and says which
    others it passed over, and why. Storage other than a local folder writes files whole by itself and is left to
    mmengine; a run that is stopped by a signal then keeps the last regular checkpoint.

    Raises:
        OSError: a checkpoint cannot be written; on all ranks, the old ones are untouched.
        ValueError: there are checkpoints to resume from, but none is whole.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._run_state: Optional[dict] = None  # while a checkpoint is made
        self._resumed: Optional[dict] = None

    def before_run(self, runner) -> None:
        """Choose the checkpoint of a run that is asked to resume but not told from where."""
        if not runner._resume or runner._load_from is not None:
            return
        folder = runner.work_dir
        if self.out_dir not in (None, folder):
            folder = osp.join(self.out_dir, osp.basename(folder.rstrip(osp.sep)))
        path, skipped = on_first_rank(
            lambda: find_checkpoint(folder, name_pattern(self.filename_tmpl), runner.work_dir))
        for reason in skipped:
            say(f'not resumed from {reason}', logging.WARNING)
        if path is None and skipped:
            raise ValueError(f'no checkpoint in {folder} can be resumed from: {"; ".join(skipped)}. To start anew, '
                             'remove these files or take another work_dir')
        runner._load_from = path

    def before_train(self, runner) -> None:
        super().before_train(runner)
        if is_main_process():
            for folder in (runner.work_dir, self.out_dir):
                remove_parts(folder)
        if self._resumed is not None:  # a loop of mmengine
            restore_rank_state(runner, self._resumed)
            set_random_state(self._resumed['random'])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Hand the state of the run to the loop, which knows when to use it."""
        unpack_history(checkpoint)
        state = checkpoint.pop('run_state', None)
        if not runner._resume or not isinstance(runner._train_loop, BaseLoop):
            return
        if not {'epoch', 'iter'} <= {*(checkpoint.get('meta') or {})}:
            raise ValueError('the checkpoint to resume from does not say how far its run was: name one that '
                             'mmseg-unsup train wrote, or begin with its weights (--cfg-options load_from=PATH)')
        if state is None:
            return
        if isinstance(runner.train_loop, ResumableTrainLoop):
            runner.train_loop.load_state_dict(state['loop'], state['ranks'])
        elif state['loop'].get('position'):
            raise ValueError('the checkpoint was taken inside an epoch, where only train_cfg.type='
                             f"'mmseg_unsup.ResumableTrainLoop' can continue, not {type(runner.train_loop).__name__}")
        else:
            self._resumed = own_state(state['ranks'])

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the state of the run; runs on the first rank."""
        pack_history(checkpoint)
        if self._run_state is not None:
            checkpoint['run_state'] = self._run_state

    def on_preemption(self, runner) -> None:
        """Save where the run stands, between two steps; nothing is lost before the first epoch begins."""
        loop = runner.train_loop
        if getattr(loop, 'has_begun', True) and self._is_local:  # where to is known once the run has begun
            self._save(runner, PREEMPTED, dict(epoch=loop.epoch, iter=loop.iter))
            runner.logger.info(f'checkpoint: {self.last_ckpt}; continue with --resume')

    def after_train(self, runner) -> None:
        """A run that was stopped in its last evaluation is continued and finished without another checkpoint."""
        super().after_train(runner)
        step = runner.epoch if self.by_epoch else runner.iter
        last, stopped = (osp.join(self.out_dir, name) for name in (self.filename_tmpl.format(step), PREEMPTED))
        if is_main_process() and self._is_local and osp.isfile(last) and osp.isfile(stopped):
            self._point_at(runner, last)
            self.file_backend.remove(stopped)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """Save, then remove what is one too many."""
        runner = getattr(runner, 'wrapped', runner)
        if not self._is_local:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        outdated: List[int] = []
        if self.max_keep_ckpts > 0:
            kept = [*(known for known in self.keep_ckpt_ids if known != step), step]
            # what the checkpoint remembers includes those that go: a run killed before that removes them on resume
            runner.message_hub.update_info('keep_ckpt_ids', list(kept))
            outdated, kept = kept[:-self.max_keep_ckpts], kept[-self.max_keep_ckpts:]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept)
        self._save(runner, self.filename_tmpl.format(step), meta)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        if is_main_process():
            for name in [*(self.filename_tmpl.format(old) for old in outdated), PREEMPTED]:
                path = osp.join(self.out_dir, name)
                if osp.isfile(path):
                    self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        """As mmengine does, but an old best checkpoint goes when the new one is there, and ``save_best`` must name a
        score of the validation."""
        for name in self.key_indicators if self.save_best and self.save_best != 'auto' else ():
            if name not in metrics:
                raise ValueError(f'save_best={name!r} is no score of the validation'
                                 + (advice(name, metrics) if metrics else ', which gives none: leave it out'))
        if not self.save_best or not self._is_local:
            super()._save_best_checkpoint(runner, metrics)
            return
        backend, self.file_backend = self.file_backend, _LateRemoval()
        try:
            super()._save_best_checkpoint(_AtomicRunner(runner, self._write), metrics)
            removed = self.file_backend.paths
        finally:
            self.file_backend = backend
        best = [getattr(self, 'best_ckpt_path', None), *getattr(self, 'best_ckpt_path_dict', {}).values()]
        for path in removed:
            if path not in best and osp.isfile(path):
                self.file_backend.remove(path)

    def _save(self, runner, name: str, meta: dict) -> None:
        """Collective: write a file of this name and point ``last_checkpoint`` at it."""
        runner.call_hook('settle')  # what is still on its way from the device
        path = osp.join(self.out_dir, name)
        former, self.last_ckpt = self.last_ckpt, path
        runner.message_hub.update_info('last_ckpt', path)
        loop = runner.train_loop
        is_resumable = isinstance(loop, ResumableTrainLoop)
        self._run_state = dict(
            loop=loop.state_dict(meta['epoch']) if is_resumable else {},
            ranks=gather_rank_states(runner, loop.random_state() if is_resumable else random_state()))

        def write() -> None:
            self._write(
                runner,
                self.out_dir,
                name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args)
            self._point_at(runner, path)

        _write_on_first_rank(write, path, former)
        self._run_state = None

    @staticmethod
    def _point_at(runner, path: str) -> None:
        with replacing(osp.join(runner.work_dir, LAST)) as part, open(part, 'w') as file:
            file.write(path)

    @staticmethod
    def _write(runner, out_dir: str, filename: str, *args, **kwargs) -> None:
        """``Runner.save_checkpoint``, whole or not at all."""
        with replacing(osp.join(out_dir, filename)) as part:
            runner.save_checkpoint(out_dir, osp.basename(part), *args, **kwargs)
            verify_checkpoint(part)

    @property
    def _is_local(self) -> bool:
        return isinstance(self.file_backend, (LocalBackend, _LateRemoval))


class _AtomicRunner:
    """A runner whose ``save_checkpoint`` is another one."""

    def __init__(self, runner, write) -> None:
        self.wrapped, self._write = runner, write

    def __getattr__(self, name: str):
        return getattr(self.wrapped, name)

    def save_checkpoint(self, *args, **kwargs) -> None:
        path = osp.join(*args[:1], kwargs['filename'])
        _write_on_first_rank(lambda: self._write(self.wrapped, *args, **kwargs), path, None)


class _LateRemoval(LocalBackend):
    """Notes what is to be removed."""

    def __init__(self) -> None:
        self.paths: List[str] = []

    def remove(self, filepath: str) -> None:
        self.paths.append(filepath)


def _write_on_first_rank(write: Callable[[], None], path: str, former: Optional[str]) -> None:
    """Nobody goes on before it is written; if it cannot be, all ranks raise an OSError with the reason, and the
    checkpoint that is still there."""
    try:
        on_first_rank(write)
    except (OSError, RuntimeError, ValueError) as error:
        intact = f'{former} is whole' if former else 'there is none before it'
        raise OSError(f'cannot write the checkpoint {path} ({error}); {intact}. Free space on the disk, or make the '
                      'folder writable, then continue with --resume') from None
