"""Runs on several processes: opening the process group, with or without GPUs, and refusing ranks that disagree."""
import atexit
import gc
import os
import re
import subprocess
from datetime import timedelta
from typing import Any, Callable, Dict, Optional

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import all_gather_object, broadcast_object_list, get_world_size, init_dist, is_main_process
from mmengine.utils.dl_utils import set_multi_processing

from .config_keys import walk
from .near_names import shortened
from .shards import WHOLE, Shard

# launcher -> (the environment variables that it sets on every process, how to start it)
_LAUNCHERS = dict(
    pytorch=(('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'), 'tools/dist_train.sh or tools/dist_test.sh'),
    slurm=(('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'), 'tools/slurm_train.sh or tools/slurm_test.sh'),
    mpi=(('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK', 'MASTER_ADDR'),
         'mpirun of Open MPI, with -x MASTER_ADDR=HOST_OF_RANK_0'))
_DEFAULT_PORT = '29500'
# a rank may need days longer than the first one that is done; one that dies closes its connections, which ends the wait
_LONGEST_WAIT = timedelta(days=365)
# differing facts that one message names, and characters of each value
_MAX_NAMED, _MAX_CHARS = 3, 100


def open_process_group(cfg: Config) -> None:
    """Open the process group of ``cfg.launcher`` before mmengine's Runner would, so that ranks can be compared first.

    NCCL (or ``env_cfg.dist_cfg.backend``) where there is a GPU. Where there is none, mmengine refuses to run in three
    ways: it selects a CUDA device, passes a device id to the model wrapper, and builds ``SyncBN``, which only works on
    GPUs. There the group is opened with gloo and ``cfg`` changed in place. Does nothing for the launcher ``'none'``.

    A process waits ``env_cfg.dist_cfg.timeout`` seconds for the others, at the start and in each collective, then
    ends with an error.

    Raises:
        ValueError: the launcher is unknown or has not set its environment variables; a bad timeout; more processes than
            GPUs on a machine that has some.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    if not dist.is_initialized():
        env_cfg = cfg.get('env_cfg', {})
        dist_cfg = env_cfg.get('dist_cfg', {})
        _check_launch(launcher, dist_cfg.get('timeout'))
        if torch.cuda.is_available():
            check_has_gpu(launcher)
            # as Runner will: init_dist would choose another way to start processes
            set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
            init_dist(launcher, **dist_cfg)
            if dist.get_backend() == 'gloo':
                atexit.register(_close_process_group)
        else:
            _open_gloo_group(launcher, **dist_cfg)
    if not torch.cuda.is_available():
        _adapt_to_gloo(cfg)


def open_gloo_group(launcher: str) -> None:
    """Open a process group that only tells ranks about each other, on machines with GPUs too.

    Raises:
        ValueError: the launcher has not set its environment variables.
    """
    if not dist.is_initialized():
        _check_launch(launcher, None)
        _open_gloo_group(launcher)


def _check_launch(launcher: str, timeout: Any) -> None:
    if launcher not in _LAUNCHERS:
        raise ValueError(f'the launcher {launcher!r} is not one of {", ".join(("none", *_LAUNCHERS))}')
    needed, starter = _LAUNCHERS[launcher]
    missing = [name for name in needed if name not in os.environ]
    if missing:
        raise ValueError(f'--launcher {launcher} needs the environment variables {", ".join(needed)}, but '
                         f'{", ".join(missing)} is not set: start all processes by {starter}, or one process with '
                         '--launcher none')
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0):
        raise ValueError(f'env_cfg.dist_cfg.timeout must be a positive number of seconds, but it is {timeout!r}')


def check_has_gpu(launcher: str) -> None:
    """Raise ValueError unless there is a GPU for this process: Slurm's share GPUs where there are fewer, torchrun's
    each take the one of their number."""
    n_gpus, rank = torch.cuda.device_count(), int(os.environ.get('LOCAL_RANK', 0))
    if launcher == 'pytorch' and rank >= n_gpus:
        raise ValueError(f'process {rank} of this machine has no GPU of its own, as the machine has {n_gpus}: start at '
                         f'most {n_gpus} processes on it')


def _open_gloo_group(launcher: str, timeout: Optional[float] = None, port: Optional[int] = None, **_) -> None:
    """Do for gloo what ``mmengine.dist.init_dist`` does for NCCL; its other arguments choose among GPU backends."""
    env = os.environ
    if launcher == 'slurm':
        env.update(RANK=env['SLURM_PROCID'], WORLD_SIZE=env['SLURM_NTASKS'], LOCAL_RANK=env.get('SLURM_LOCALID', '0'))
        if port is not None:
            env['MASTER_PORT'] = str(port)
        if 'MASTER_ADDR' not in env:
            env['MASTER_ADDR'] = _first_slurm_host(env['SLURM_NODELIST'])
    elif launcher == 'mpi':
        env.update({name: env[f'OMPI_COMM_WORLD_{source}'] for name, source in
                    (('RANK', 'RANK'), ('WORLD_SIZE', 'SIZE'), ('LOCAL_RANK', 'LOCAL_RANK'))})
    env.setdefault('MASTER_PORT', _DEFAULT_PORT)
    dist.init_process_group('gloo', **({} if timeout is None else dict(timeout=timedelta(seconds=timeout))))
    atexit.register(_close_process_group)


def _first_slurm_host(nodes: str) -> str:
    """The host of rank 0 from Slurm's compressed list, such as ``node[3-5]``."""
    try:
        done = subprocess.run(['scontrol', 'show', 'hostnames', nodes], stdout=subprocess.PIPE, check=True, text=True)
        return done.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ValueError(f'scontrol cannot name the first host of SLURM_NODELIST={nodes!r} ({error}): set MASTER_ADDR '
                         'to the host of rank 0') from None


def _close_process_group() -> None:
    """Join the threads of gloo while Python is whole: often they abort an interpreter that ends before them.

    Then a finished run counts as failed (pytorch/pytorch#179291).
    """
    gc.collect()  # the model wrapper holds the group, and Runner, a cycle, holds the wrapper
    if dist.is_initialized():
        dist.destroy_process_group()


def _adapt_to_gloo(cfg: Config) -> None:
    """The wrapper gets no device id, and ``SyncBN`` becomes ``BN`` whose buffers are averaged after each epoch."""
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    for _, part in walk(cfg.model):
        if isinstance(part, dict) and part.get('type') == 'SyncBN':
            part['type'] = 'BN'
    cfg.default_hooks.sync_buffers = dict(type='SyncBuffersHook')


def on_first_rank(function: Callable[[], Any]) -> Any:
    """What the function returns on the first rank, on all of them; so is its OSError, RuntimeError or ValueError.
    Collective."""
    outcome = [None, None]
    if is_main_process():
        try:
            outcome[0] = function()
        except (OSError, RuntimeError, ValueError) as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def check_ranks_agree(facts: Dict[str, Any], remedy: str) -> None:
    """Raise ValueError, on all ranks and with one message, where a fact differs between ranks; names up to three.

    Processes started from different configs or data would hang, or train on nonsense without a word. Costs nothing on
    one process. Every rank must call it.

    Args:
        facts: name -> value; values are equal if their ``repr`` is, memory addresses aside.
        remedy: what the user should do, the last part of the message.
    """
    if get_world_size() == 1:
        return
    by_rank = all_gather_object({name: re.sub(r' at 0x\w+', '', repr(value)) for name, value in facts.items()})
    differing = []
    for name in dict.fromkeys(name for texts in by_rank for name in texts):
        values = [texts.get(name, 'absent') for texts in by_rank]
        other = next((rank for rank, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            first, second = (shortened(values[rank], _MAX_CHARS) for rank in (0, other))
            differing.append(f'{name} is {first} on rank 0 and {second} on rank {other}')
    if differing:
        more = len(differing) - _MAX_NAMED
        listing = '; '.join(differing[:_MAX_NAMED]) + (f'; {more} more differ' if more > 0 else '')
        raise ValueError(f'the processes disagree: {listing}: {remedy}')


def shard_of_process(launcher: str, shard: Shard = WHOLE) -> Shard:
    """The shard of this process: that of its rank where a launcher started it, whose process group is opened, else
    ``shard``.

    Raises:
        ValueError: both a launcher and a shard; the launch is incomplete.
    """
    if launcher == 'none':
        return shard
    if shard != WHOLE:
        raise ValueError(f'--shard {shard} cannot go with --launcher {launcher}, whose ranks are the shards: give one '
                         'of the two')
    open_gloo_group(launcher)
    return Shard(dist.get_rank(), dist.get_world_size())


def device_of_process(launcher: str) -> Optional[str]:
    """The GPU of this process where a launcher started several and there are some; else None. After the process group
    is open.

    Raises:
        ValueError: there is no GPU for this process.
    """
    if launcher == 'none' or not torch.cuda.is_available():
        return None
    check_has_gpu(launcher)
    return f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()}'


def after_all(function: Callable[[], Any]) -> Any:
    """What the function returns on the first rank once all ranks are here, however long that takes, on all of them;
    without other ranks at once. Collective."""
    if get_world_size() > 1:
        dist.barrier(dist.new_group(backend='gloo', timeout=_LONGEST_WAIT))
    return on_first_rank(function)
