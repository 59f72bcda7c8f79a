"""Many trainings: each a process with a folder and a record, then means, deviations and tables.

Finished runs are not repeated and interrupted ones go on, so a command that plans the same runs can be given again.
"""
import glob
import os
import os.path as osp
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.fileio import load

from ..engine.checkpoint_files import last_checkpoint
from ..engine.run_config import prepare_training
from ..registry import DATASETS
from ..utils.checks import is_finite
from ..utils.console import say
from ..utils.options import parse_options
from ..utils.run_logs import NOT_SCORES, log_pattern, read_run_log, score_logs
from ..utils.run_record import differing_settings, read_record, run_settings, write_record
from ..utils.speed import adapt_loaders
from ..utils.whole_images import resizes_of
from ..weights import load_network_config


@dataclass
class Run:
    """A config with options.

    Attributes:
        title: names the run in messages.
        words: of ``--cfg-options``.
        flags: further arguments of mmseg-unsup train.
        cfg: what they and the flags make, as the process will see it.
        evaluations: epoch, or iteration where the run counts those, -> scores; 0 is before training.
        seconds: that it took, without the start of the process; None where its log does not tell.
    """
    title: str
    config: str
    work_dir: str
    words: List[str]
    flags: List[str]
    cfg: Config
    evaluations: Dict[int, Dict[str, float]] = field(default_factory=dict, kw_only=True)
    seconds: Optional[float] = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self.settings = run_settings(self.cfg)

    @property
    def last(self) -> int:
        return max(self.evaluations)


def trains(cfg: Config) -> bool:
    """Whether there is anything to train; what a config of frozen features fits, its test fits, too."""
    return cfg.get('train_dataloader') is not None


def length_of(cfg: Config) -> Tuple[str, int]:
    """What a training counts, epochs or iterations, and how many of these it has."""
    if not trains(cfg):
        return 'epoch', 0
    train_cfg = cfg.train_cfg
    return ('epoch', train_cfg.max_epochs) if 'max_epochs' in train_cfg else ('iteration', train_cfg.max_iters)


def option_words(options: Dict[str, object]) -> List[str]:
    """Dotted key -> value, as words of ``--cfg-options``.

    Raises:
        ValueError: a value that a command line would read as another one, such as a dict.
    """
    return [_option_word(key, value) for key, value in options.items()]


def _option_word(key: str, value) -> str:
    words = [f'{key}={text}' for text in (str(value), str(value).replace(' ', ''), f"'{value}'")]
    same = [word for word in words if parse_options([word])[key] == value]
    if not same:
        raise ValueError(f'{key}: {value!r} cannot be given as an option, where it would become '
                         f'{parse_options(words[:1])[key]!r}: write a config that sets it')
    return same[0]


def planned_config(path: str, words: Sequence[str], flags: Sequence[str] = ()) -> Config:
    """The config that mmseg-unsup train will see, or mmseg-unsup test where there is nothing to train."""
    cfg = load_network_config(path, parse_options(words))
    adapt_loaders(cfg)
    if not trains(cfg):  # all here asks for the evaluation of a training
        cfg.val_dataloader, cfg.val_evaluator = cfg.get('test_dataloader'), cfg.get('test_evaluator')
        return cfg
    prepare_training(cfg, Namespace(amp='--amp' in flags, compile='--compile' in flags))
    return cfg


def check_plan(runs: Sequence[Run], table: str) -> None:
    """Check that nothing of former runs is lost to these, neither their folders nor the table that was made of them.

    Args:
        table: JSON file that will be written, with ``runs`` that have a ``work_dir``.

    Raises:
        ValueError: a folder holds a run with other settings; the table is of other runs.
    """
    for run in runs:
        _own_record(run)
    former = load(table)['runs'] if osp.isfile(table) else []
    lost = sorted({osp.realpath(run['work_dir']) for run in former} - {osp.realpath(run.work_dir) for run in runs})
    if lost:
        raise ValueError(f'{table} is the table of other runs ({len(lost)} of them are not among these, such as '
                         f'{lost[0]}): give another --out-dir, or those runs too')


def train_all(runs: Sequence[Run], metrics: Sequence[str], n_first: int) -> None:
    """Bring all runs to their end and read their evaluations.

    A metric that none of the ``n_first`` first runs reports is an error after those: it must not cost the others.
    """
    minutes: List[float] = []
    for i, run in enumerate(runs):
        title, start = f'{run.title} ({i + 1} of {len(runs)})', time.time()
        if train(run, title):
            minutes.append((time.time() - start) / 60)
            left = sum(not _own_record(later).get('finished') for later in runs[i + 1:])
            rest = f', about {left * statistics.fmean(minutes):.0f} min for the {left} that are left' if left else ''
            say(f'{title}: done in {minutes[-1]:.1f} min{rest}')
        read_evaluations(run)
        if i + 1 == n_first:
            check_metrics(runs[:n_first], metrics)


def train(run: Run, title: str) -> bool:
    """Bring a run to its end, unless it is there; whether that was done now. The console calls it ``title``.

    Raises:
        RuntimeError: the process failed.
    """
    if _own_record(run).get('finished'):
        say(f'{title}: finished before')
        return False
    os.makedirs(run.work_dir, exist_ok=True)
    words, name = (_training(run), 'training') if trains(run.cfg) else (['test', run.config, 'none'], 'evaluation')
    log, start = osp.join(run.work_dir, 'train.log'), time.time()
    say(f'{title}: {name}, log {log}')
    with open(log, 'a') as file:
        status = subprocess.run([*_program(), *words, '--work-dir', run.work_dir, '--cfg-options', *run.words],
                                stdout=file, stderr=subprocess.STDOUT).returncode
    if status:
        raise RuntimeError(f'{run.title}: {name} ended with status {status} ({_cause(log)}): see {log}, then give '
                           'the same command again; finished runs are kept')
    if not trains(run.cfg):
        _record_test(run, time.time() - start)
    return True


def _training(run: Run) -> List[str]:
    return ['train', run.config, *run.flags, *(['--resume'] if last_checkpoint(run.work_dir) else [])]


def _record_test(run: Run, seconds: float) -> None:
    """Keep the scores that mmengine writes after a test, as a training keeps its own."""
    path = max(glob.glob(osp.join('*', '*.json'), root_dir=run.work_dir))  # named by their time
    scores = {name: value for name, value in load(osp.join(run.work_dir, path)).items() if name not in NOT_SCORES}
    write_record(run.work_dir, run.settings, finished=True, scores=scores, seconds=seconds)


def _program() -> List[str]:
    """What runs ``mmseg-unsup`` with what this process would import, wherever its packages are."""
    return [sys.executable, '-c', f'import sys; sys.path[:] = {sys.path!r}; from mmseg_unsup.commands import main; '
            'sys.exit(main())']


def _own_record(run: Run) -> dict:
    """The record in the folder of a run, empty before it began; of a run with other settings it is an error."""
    record = read_record(run.work_dir) or {}
    settings = record.get('settings', run.settings)
    differing = differing_settings(settings, run.settings)
    if differing:
        key = differing[0]
        raise ValueError(f'{run.work_dir} holds a run with other settings ({len(differing)} differ, such as {key}: '
                         f'{settings.get(key)} there, {run.settings.get(key)} now): give another --work-dir, or remove '
                         'that folder')
    return record


def _cause(path: str) -> str:
    """Why the last training that wrote a log has failed: what a command says last."""
    with open(path, errors='replace') as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1].removeprefix('error: ') if lines else 'no output'


def read_evaluations(run: Run) -> None:
    """Fill ``run.evaluations`` and ``run.seconds`` from the JSON logs, which must have the evaluation of the last
    epoch; of a run that was resumed, the latest of each epoch counts. Of a run that trains nothing, from its record."""
    if not trains(run.cfg):
        record = _own_record(run)
        run.evaluations[0], run.seconds = record['scores'], record['seconds']
        return
    pattern = log_pattern(run.work_dir)
    if score_logs(run.work_dir):
        log = read_run_log(run.work_dir)
        run.evaluations.update(log.evaluations)
        run.seconds = log.seconds
    if not run.evaluations:
        raise ValueError(f'no evaluation in {pattern}: check that the config has val_dataloader, val_evaluator, '
                         'vis_backends with LocalVisBackend and train_cfg.val_begin of at most max_epochs')
    unit, length = length_of(run.cfg)
    if run.last != length:
        raise ValueError(f'the last evaluation in {pattern} is of {unit} {run.last}, but the run has {length}: '
                         f'remove {run.work_dir} and give the same command again')


def check_metrics(runs: Sequence[Run], metrics: Sequence[str]) -> None:
    """Raise ValueError for a metric that no run reported."""
    reported = sorted({name for run in runs for name in run.evaluations[run.last]})
    for metric in metrics:
        if metric not in reported:
            raise ValueError(f'no run reported the metric {metric!r}: choose with --metrics from those in the logs, '
                             f'{", ".join(reported) or "which have none (the config evaluates without labels)"}')


def mean_and_std(values: Sequence) -> dict:
    """``values``, ``mean`` and ``std`` (n - 1); None where there is none."""
    usable = values if all(map(is_finite, values)) else []
    return dict(values=[finite(value) for value in values], mean=statistics.fmean(usable) if usable else None,
                std=statistics.stdev(usable) if len(usable) > 1 else None)


def format_mean_and_std(score: dict) -> str:
    """``60.12 ± 3.45``"""
    if score['mean'] is None:
        return '-'
    return f'{score["mean"]:.2f} ± ' + ('-' if score['std'] is None else f'{score["std"]:.2f}')


def finite(value) -> Optional[float]:
    """The number, or None for what JSON does not have, such as NaN."""
    return value if is_finite(value) else None


def software_of(runs: Sequence[Run]) -> Dict[str, List[str]]:
    """Package -> versions that the runs were made with."""
    records = [read_record(run.work_dir)['software'] for run in runs]
    return {key: sorted({record[key] for record in records}) for key in records[0]}


def describe_evaluation(cfg: Config) -> dict:
    """What the scores of a config, which must evaluate, are taken on."""
    if not cfg.get('val_dataloader') or not cfg.get('val_evaluator'):
        raise ValueError(f'{cfg.filename} has no val_dataloader or val_evaluator, so its runs would have no scores: '
                         'add them, as in configs/_base_/datasets/')
    config = cfg.val_dataloader.dataset
    dataset = DATASETS.build(config)
    resize = next(iter(resizes_of(config.pipeline)), {})
    return {
        'data set': config.type.split('.')[-1],
        'validation images': len(dataset),
        'classes': len(dataset.metainfo['classes']) or '-',
        'size': resize.get('size', '-'),
        'crop': resize.get('protocol', 'center_crop') if resize else '-',
    }


def describe_training(cfg: Config, mixed: bool) -> dict:
    """Schedule of a config; ``mixed`` precision or not."""
    unit, length = length_of(cfg)
    if not trains(cfg):
        return {f'{unit}s': length}
    optimizer = cfg.optim_wrapper.optimizer
    return {
        f'{unit}s': length,
        'batch': cfg.train_dataloader.batch_size,
        'optimiser': f'{optimizer.type}, lr {optimizer.get("lr", "-")}',
        'precision': 'mixed' if mixed else 'float32',
    }
