"""A work directory belongs to one run: what it holds is not mixed with another, and one process group writes to it."""
import logging
import os
import os.path as osp
import socket
from contextlib import contextmanager
from typing import Iterator, List, Optional

from mmengine.config import Config
from mmengine.dist import is_main_process

from ..utils.console import say
from ..utils.distributed import on_first_rank
from ..utils.locks import take_lock
from ..utils.near_names import shortened
from ..utils.run_record import differing_for_resume, read_record, run_settings, write_record
from .checkpoint_files import LAST, NUMBERED, PREEMPTED

LOCK = 'run.lock'
# values in messages
_MAX_CHARS = 60


class RunFolder:
    """The work directory of a run, which this process owns.

    Attributes:
        path: of the folder.
        settings: of the run, see :func:`mmseg_unsup.utils.run_record.run_settings`.
        record: of the run that is continued; empty for a new one.
        outdated: checkpoints of the former run, which ``restart`` gives up.
    """

    def __init__(self, cfg: Config) -> None:
        self.path = cfg.work_dir
        self.settings = run_settings(cfg)
        self.record: dict = {}
        self.outdated: List[str] = []
        self._former_logs: List[str] = []
        self._out_dir = ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('out_dir')

    def checkpoints(self) -> List[str]:
        """Paths of what a run could be continued from."""
        folders = [self.path]
        if self._out_dir is not None:  # where mmengine's hook writes then
            folders.append(osp.join(self._out_dir, osp.basename(osp.abspath(self.path))))
        return [osp.join(folder, name) for folder in folders if osp.isdir(folder) for name in sorted(os.listdir(folder))
                if name in (LAST, PREEMPTED) or NUMBERED.fullmatch(name)]

    def check(self, resume: bool, source: Optional[str], restart: bool) -> None:
        """See :func:`owned_folder`."""
        kept = self.checkpoints()
        if resume and source is not None and '://' not in source and not osp.isfile(source):
            raise FileNotFoundError(f'there is no checkpoint {source!r} to resume from: check the path')
        if restart or not kept:
            # folders of logs that are there before this run has one
            self._former_logs = sorted(name for name in os.listdir(self.path)
                                       if osp.isdir(osp.join(self.path, name, 'vis_data')))
            self.outdated = kept
        elif not resume:
            raise ValueError(f'{self.path} holds the checkpoints of another run ({_listing(kept)}): go on with it '
                             '(--resume), give this one a folder of its own (--work-dir), or let it take the place of '
                             'the other (--restart)')
        else:
            self._check_continued(source, kept)
            self.record = read_record(self.path) or {}

    def _check_continued(self, source: Optional[str], kept: List[str]) -> None:
        if source is not None and not any(osp.realpath(source) == osp.realpath(path) for path in kept):
            raise ValueError(f'{self.path} holds the checkpoints of another run than {source}: give the run that goes '
                             'on from there a folder of its own (--work-dir)')
        record = read_record(self.path)
        if record is None:
            say(f'the settings of the run in {self.path} were not recorded, and are not compared', logging.WARNING)
            return
        keys = differing_for_resume(record['settings'], self.settings)
        if keys:
            then, now = (shortened(settings.get(keys[0], 'absent'), _MAX_CHARS)
                         for settings in (record['settings'], self.settings))
            more = f'; {len(keys) - 1} more differ' if len(keys) > 1 else ''
            raise ValueError(f'{self.path} holds a run with other settings: {keys[0]} is {then} there and {now} '
                             f'now{more}. Resume it with its own settings, or give another --work-dir')
        if 'load_from' in record['settings']:  # of its beginning; now the config names the checkpoint to resume from
            self.settings['load_from'] = record['settings']['load_from']

    def begin(self, images: dict) -> None:
        """Record the run, now that all that it is built of is there; a restarted one drops its former checkpoints.

        Args:
            images: data loader -> number and digest of its images.

        Raises:
            ValueError: the run that is continued had other images.
        """
        for loader, of_loader in (self.record.get('images') or {}).items():
            if images.get(loader, of_loader) != of_loader:
                then, now = of_loader, images[loader]
                raise ValueError(f'{self.path} holds a run on other images: {loader} had {then["number"]} '
                                 f'({then["digest"]}) there and has {now["number"]} ({now["digest"]}) now, by number '
                                 'and digest of their names. Resume it on the same, or give another --work-dir')
        for path in self.outdated:
            os.remove(path)
        self.record = dict(former_logs=self.record.get('former_logs', self._former_logs), images=images)
        self._write(finished=False)

    def finish(self) -> None:
        """Record that the training came to its end."""
        if is_main_process():
            self._write(finished=True)

    def _write(self, finished: bool) -> None:
        write_record(self.path, self.settings, finished, **self.record)


@contextmanager
def owned_folder(cfg: Config, restart: bool = False) -> Iterator[RunFolder]:
    """Own ``cfg.work_dir`` inside the block. Collective: all ranks fail if the first one does.

    ``cfg.resume`` and ``cfg.load_from`` say, as for mmengine, whether the run in the folder goes on. A run without
    checkpoints has nothing to lose, and any other may take its place.

    Args:
        restart: the run may take the place of one that is there, whose checkpoints go when it begins.

    Raises:
        ValueError: another process works in the folder; it holds another run, or this one with other settings.
    """
    folder = RunFolder(cfg)
    locks = []  # descriptors, of the first rank

    def own() -> None:
        locks.append(_lock(folder.path))
        folder.check(bool(cfg.get('resume')), cfg.get('load_from'), restart)

    try:
        on_first_rank(own)
        yield folder
    finally:
        for descriptor in locks:
            os.close(descriptor)


def _lock(folder: str) -> int:
    """A descriptor that holds the lock of a folder until it is closed, or the process ends. Makes the folder."""
    path = osp.join(folder, LOCK)
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ValueError(f'the work directory {folder!r} cannot be written to ({error.strerror}): give another '
                         '--work-dir') from None
    if not take_lock(descriptor, path):
        owner = os.read(descriptor, 200).decode(errors='replace').strip()
        os.close(descriptor)
        raise ValueError(f'another run works in {folder} ({owner or "unknown process"}): wait for its end, '
                         'or give another --work-dir')
    os.truncate(descriptor, 0)
    os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode())
    return descriptor


def _listing(paths: List[str]) -> str:
    names = [osp.basename(path) for path in paths if osp.basename(path) != LAST] or [LAST]
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
