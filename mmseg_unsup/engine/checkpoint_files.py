"""Checkpoint files of a run folder: which of them are whole, which one to go on from, and which one to use."""
import os
import os.path as osp
import re
import zipfile
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch

from ..hosts.safe_loading import load_safely
from ..utils.atomic import replacing, write_from_memory

# written when a run is stopped by a signal; the next checkpoint replaces it
PREEMPTED = 'preempted.pth'
LAST = 'last_checkpoint'
NUMBERED = re.compile(r'(epoch|iter)_(\d+)\.pth')
_NEEDED = ('meta', 'state_dict', 'message_hub')


class Search(NamedTuple):
    """What :func:`find_checkpoint` found: a path or None, and per file that was passed over, why."""
    path: Optional[str]
    skipped: List[str]


def write_checkpoint(path: str, content: dict) -> None:
    """Write a checkpoint in one step; an OSError names the file."""
    with replacing(path) as part:
        write_from_memory(part, lambda file: torch.save(content, file))


def verify_checkpoint(path: str) -> dict:
    """Read a checkpoint wholly and return its ``meta``; its tensors are not kept.

    Raises:
        ValueError: it is cut off, damaged, or lacks what a run is continued from.
        OSError: it cannot be opened.
    """
    meta = _read_meta(path)
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f'the checkpoint {path} is damaged: the checksum of {damaged} is wrong')
    return meta


def find_checkpoint(folder: str, pattern: 're.Pattern', work_dir: str) -> Search:
    """The most advanced checkpoint that verifies, among the files of a folder and the one named in ``last_checkpoint``.

    Args:
        folder: where the run writes its checkpoints.
        pattern: of their names.
        work_dir: where ``last_checkpoint`` is.
    """
    candidates, skipped = _candidates(folder, pattern, work_dir)
    ranked = []
    for path in candidates:
        try:
            meta = _read_meta(path)
            ranked.append((meta['epoch'], meta['iter'], os.stat(path).st_mtime_ns, path))
        except (OSError, ValueError) as error:
            skipped.append(f'{path} ({error})')
    for *_, path in sorted(ranked, reverse=True):
        try:
            verify_checkpoint(path)
            return Search(path, skipped)
        except (OSError, ValueError) as error:
            skipped.append(f'{path} ({error})')
    return Search(None, skipped)


def last_checkpoint(folder: str) -> Optional[str]:
    """The checkpoint that a run ended with: the one named in ``last_checkpoint``, which may have been moved with its
    folder, else that of the highest number; None without any."""
    named = _named_in(folder)
    for path in () if named is None else (osp.join(folder, osp.basename(named)), named):
        if osp.isfile(path):
            return path
    numbered = numbered_checkpoints(folder)
    return numbered[max(numbered, key=lambda key: (key[0] == 'epoch', key[1]))] if numbered else None


def numbered_checkpoints(folder: str) -> Dict[Tuple[str, int], str]:
    """Paths of the checkpoints in a folder by what is counted and the number, such as ``('epoch', 5)``."""
    names = os.listdir(folder) if osp.isdir(folder) else []
    found = filter(None, map(NUMBERED.fullmatch, names))
    return {(match[1], int(match[2])): osp.join(folder, match[0]) for match in found}


def name_pattern(template: str) -> 're.Pattern':
    """``'epoch_{}.pth'`` -> what matches the checkpoints of a run."""
    before, after = template.split('{}')
    return re.compile(rf'{re.escape(before)}\d+{re.escape(after)}|{re.escape(PREEMPTED)}')


def _candidates(folder: str, pattern: 're.Pattern', work_dir: str) -> Tuple[List[str], List[str]]:
    names = os.listdir(folder) if osp.isdir(folder) else []
    paths = [osp.join(folder, name) for name in sorted(names) if pattern.fullmatch(name)]
    named = _named_in(work_dir)
    if named is None or osp.basename(named) in map(osp.basename, paths):
        return paths, []
    if osp.isfile(named):
        return [*paths, named], []
    return paths, [f'{named} (named in {osp.join(work_dir, LAST)}, but it does not exist)']


def _named_in(folder: str) -> Optional[str]:
    """What ``last_checkpoint`` says; None where it is not there."""
    pointer = osp.join(folder, LAST)
    if not osp.isfile(pointer):
        return None
    with open(pointer) as file:
        return file.read().strip()


def _read_meta(path: str) -> dict:
    """``meta`` of a checkpoint; its tensors stay on the disk. Raises as :func:`verify_checkpoint`."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f'the checkpoint {path} is cut off or no checkpoint')
    checkpoint = load_safely(path, map_location='cpu', mmap=True)
    lacking = [key for key in _NEEDED if not isinstance(checkpoint, dict) or key not in checkpoint]
    if lacking or not {'epoch', 'iter'} <= set(checkpoint['meta']):
        raise ValueError(f'{path} is no checkpoint of a training: it has no {" and no ".join(lacking) or "epoch"}')
    return checkpoint['meta']


def existing_checkpoint(path: str) -> str:
    """The path itself, or a FileNotFoundError if there is no such file."""
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no checkpoint {path!r}: give the path of a file that mmseg-unsup train '
                                'wrote, such as work_dirs/CONFIG/epoch_5.pth')
    return path
