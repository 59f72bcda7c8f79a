"""What makes a run, as its folder records it: settings, software, and whether it is finished."""
import os.path as osp
import re
from typing import Callable, Dict, List, Optional

import torch
from mmengine.config import Config
from mmengine.fileio import load

from ..version import __version__
from .atomic import write_json
from .config_keys import flatten_config

RECORD = 'run.json'
# Of a config, all that a training reads; what it tests on afterwards is not a part of it.
_PARTS = ('model', 'data_preprocessor', 'train_dataloader', 'probe_dataloader', 'labelled_probe_dataloader',
          'val_dataloader', 'val_evaluator', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr',
          'default_hooks', 'custom_hooks', 'randomness', 'load_from')
# Of these, what changes no weight and no score.
_IDLE = re.compile(
    r'\w+_dataloader\.(num_workers|persistent_workers|pin_memory|prefetch_factor|timeout|multiprocessing_context)'
    r'|default_hooks\.(runtime_info|timer|logger|checkpoint|phase_timer|train_progress|cluster_pictures|report'
    r'|preemption|unreadable_images|check_data|visualization|sync_buffers|feature_cache)(\..*)?')
# What a run may go on with: length, evaluations, where files lie, which faults it tolerates, precision, memory.
_RESUMABLE = re.compile(
    r'train_cfg\.(max_epochs|max_iters|val_interval|val_begin|dynamic_intervals.*)'
    r'|param_scheduler\..*(end|T_max|total_iters)'
    r'|(.*\.)?(data_root|root|output_dir|load_from|on_error)'
    r'|(val|probe|labelled_probe)_dataloader\.batch_size'
    r'|optim_wrapper\.(type|loss_scale|dtype)'
    r'|default_hooks\.(compile|non_finite)(\..*)?|default_hooks\.\w+\.kmeans\.(backend|chunk_bytes)'
    r'|randomness\.deterministic')
# Files that may have moved: their name counts, the folder does not.
_FILES = re.compile(r'(.*\.)?(checkpoint|ann_file|mask_root)')


def run_settings(cfg: Config) -> Dict[str, str]:
    """Dotted key -> text of the value, of all settings that change what a run gives."""
    parts = {name: cfg[name] for name in _PARTS if cfg.get(name) is not None}
    # on one process they are the same layer
    return {key: str(value).replace('SyncBN', 'BN') for key, value in flatten_config(parts) if not _is_idle(key)}


def differing_settings(then: Dict[str, str], now: Dict[str, str]) -> List[str]:
    """Keys whose values differ, with those that only one of two runs has."""
    return _differing(then, now, lambda key, value: value)


def differing_for_resume(then: Dict[str, str], now: Dict[str, str]) -> List[str]:
    """Settings that differ, without those that a run may go on with."""
    return [key for key in _differing(then, now, _name_of_file) if not _RESUMABLE.fullmatch(key)]


def _differing(then: Dict[str, str], now: Dict[str, str], read: Callable[[str, Optional[str]], str]) -> List[str]:
    keys = [key for key in {*then, *now} if key.split('.')[0] in _PARTS and not _is_idle(key)]
    differing = [key for key in keys if read(key, then.get(key)) != read(key, now.get(key))]
    return sorted(differing, key=lambda key: (_PARTS.index(key.split('.')[0]), key))  # the model first


def _is_idle(key: str) -> bool:
    return _IDLE.fullmatch(key) is not None


def _name_of_file(key: str, value: Optional[str]) -> Optional[str]:
    return osp.basename(value.rstrip('/')) if value and _FILES.fullmatch(key) else value


def read_record(work_dir: str) -> Optional[dict]:
    """``finished``, ``software``, ``settings``, ``images``, ``former_logs`` of the run of a folder; None without one,
    ValueError where the file is no record."""
    path = osp.join(work_dir, RECORD)
    if not osp.isfile(path):
        return None
    try:
        record = load(path)
        assert isinstance(record['settings'], dict)
    except (ValueError, KeyError, TypeError, AssertionError):
        raise ValueError(f'{path} is not the record of a run: remove that file, if the folder holds nothing else, or '
                         'give another --work-dir') from None
    return record


def write_record(work_dir: str, settings: Dict[str, str], finished: bool, **further) -> None:
    """Replace the record in one step."""
    software = dict(mmseg_unsup=__version__, torch=str(torch.__version__))
    write_json(osp.join(work_dir, RECORD), dict(finished=finished, software=software, settings=settings, **further))
