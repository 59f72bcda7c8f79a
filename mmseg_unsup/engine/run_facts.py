"""What a run works on, and what it leaves, in the words that a person reads."""
import os.path as osp
from typing import Dict, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from torch.utils.data import DataLoader

from ..presets import usable_cores
from ..utils.config import reference_of
from ..utils.console import counted, log_files, say
from ..utils.paths import shown
from .feature_pass import unwrap

_MAX_COLUMNS, _NAME_COLUMNS = 80, 10


def say_facts(facts: Dict[str, str]) -> None:
    """A line for each, without those that are empty; a value that is too long loses its middle."""
    width = _MAX_COLUMNS - _NAME_COLUMNS
    for name, value in facts.items():
        if len(value) > width:
            value = f'{value[:width // 3]}...{value[-(width - width // 3 - 3):]}'
        if value:
            say(f'{name:{_NAME_COLUMNS}}{value}')


def config_fact(cfg: Config) -> str:
    """Name of the file; a config of this package as ``mmseg_unsup::NAME``."""
    return shown(reference_of(cfg.filename)) if cfg.filename else ''


def data_fact(loader: DataLoader, size: Optional[Tuple[int, int]] = None) -> str:
    """Number of images, each counted once, and where it is known the height and width at which the network sees
    them."""
    times = getattr(getattr(loader.dataset, 'dataset', None), 'times', 1)  # of a RepeatDataset
    return f'{len(loader.dataset) // times:,} images' + (f' at {size[1]} x {size[0]} px' if size else '')


def folder_fact(loader: DataLoader) -> str:
    """Where the images lie."""
    dataset = loader.dataset
    while hasattr(dataset, 'dataset') and not getattr(dataset, 'data_root', None):
        dataset = dataset.dataset
    root = getattr(dataset, 'data_root', None)
    return shown(root) if root else ''


def device_fact(runner) -> str:
    """What computes."""
    n_ranks = get_world_size()
    if unwrap(runner.model).data_preprocessor.device.type == 'cuda':
        return f'{n_ranks} x {torch.cuda.get_device_name()}' if n_ranks > 1 else torch.cuda.get_device_name()
    used = f'{n_ranks} processes on ' if n_ranks > 1 else f'{torch.get_num_threads()} of '
    return f'CPU, {used}{counted(usable_cores(), "core")}'


def clusters_fact(runner) -> str:
    """How many the sets are trained with, or a hook fits."""
    model = unwrap(runner.model)
    numbers = [level.sets[0].n_clusters for level in getattr(model, 'levels', [])]
    if not numbers and hasattr(getattr(model, 'decode_head', None), 'n_clusters'):
        numbers = [model.decode_head.n_clusters]
    if not numbers:
        numbers = [hook.n_clusters for hook in runner.hooks if getattr(hook, 'n_clusters', None)][:1]
    text = ''.join(map(str, numbers[:1]))
    return text + (f' (with {" and ".join(map(str, numbers[1:]))} more in training)' if numbers[1:] else '')


def result_files(runner) -> Dict[str, str]:
    """What it is -> path, of the files that a run leaves for a person."""
    files: Dict[str, str] = {}
    for hook in runner.hooks:
        files.update({name: osp.join(runner.work_dir, path) for name, path in getattr(hook, 'results', {}).items()})
    files['checkpoint'] = runner.message_hub.get_info('last_ckpt', '')
    return {name: path for name, path in files.items() if osp.exists(path)}


def say_end(text: str, files: Dict[str, str]) -> None:
    """What was done, and the files to open, the log the last."""
    say(f'{text}; to open:')
    for name, path in [*files.items(), *(('log', handler.baseFilename) for handler in log_files()[-1:])]:
        say(f'  {name:12}{shown(path)}')
