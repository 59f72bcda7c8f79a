"""Train configs with several seeds and write one table: mean ± standard deviation (n - 1) of the last checkpoint.

Every run is a process of tools/train.py with a folder of its own, WORK_DIR/CONFIG/seed_S. Finished runs are not
repeated and interrupted ones go on, so the same command can be given again. Written: seeds.md and seeds.json.

Label-free scores compare clusters of checkpoints on the same cells of the same training images: a k-means with the
settings of the config's fresh one is fitted to each checkpoint (mmseg_unsup/evaluation/functional/label_free.py has the
definitions). --select label-free names, of the checkpoints that a run kept, the one with the highest view_NMI, the
later one of equals. Labels choose nothing; the epoch that they would choose is printed for information only.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
import glob
import json
import math
import os
import os.path as osp
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence

import torch
from mmengine.config import Config, DictAction
from mmengine.fileio import dump, load

from mmseg_unsup.engine.feature_sample import fit_kmeans, fresh_settings, sample_features
from mmseg_unsup.evaluation.functional.label_free import SCORES, label_free_scores
from mmseg_unsup.registry import DATASETS
from mmseg_unsup.utils.atomic import replacing
from mmseg_unsup.utils.command_line import add_speed_arguments
from mmseg_unsup.utils.config import load_config, merge_options
from mmseg_unsup.utils.distributed import flatten_config
from mmseg_unsup.utils.setup_env import register_all_modules
from mmseg_unsup.utils.speed import adapt_loaders

TRAIN = osp.join(osp.dirname(osp.dirname(osp.abspath(__file__))), 'train.py')
TITLES = dict(aAcc='accuracy')
# what mmengine writes into a line of scores besides the scores
NOT_SCORES = ('step', 'time', 'data_time', 'memory')
SELECT_BY = 'view_NMI'


@dataclass
class Run:
    """A config with a seed."""
    config: str
    name: str
    seed: int
    work_dir: str
    cfg: Config
    settings: Dict[str, str]
    evaluations: Dict[int, Dict[str, float]] = field(default_factory=dict)  # epoch -> scores, 0 is before training
    label_free: Dict[int, Dict[str, float]] = field(default_factory=dict)  # epoch of a checkpoint -> scores

    @property
    def record(self) -> str:
        return osp.join(self.work_dir, 'run.json')

    @property
    def last(self) -> int:
        return max(self.evaluations)

    @property
    def selected(self) -> Optional[int]:
        """Epoch of the best checkpoint by ``SELECT_BY``."""
        scored = {epoch: scores for epoch, scores in self.label_free.items() if scores[SELECT_BY] is not None}
        return max(scored, key=lambda epoch: (scored[epoch][SELECT_BY], epoch), default=None)

    def best_by_labels(self, metric: str) -> Optional[int]:
        """Epoch of the highest score after training began."""
        scored = {epoch: s[metric] for epoch, s in self.evaluations.items() if epoch and _is_number(s.get(metric))}
        return max(scored, key=scored.get, default=None)


class OptionsAction(DictAction):
    """Also keeps the words of the command line, for the processes that train."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        super().__call__(parser, namespace, values, option_string)
        namespace.words = [*namespace.words, *values]


def plan_runs(args: argparse.Namespace) -> List[Run]:
    """The runs, seed by seed, so that all configs are compared early.

    Raises:
        FileNotFoundError: a config does not exist.
        ValueError: two configs of one name, or a seed given twice.
    """
    names = {}
    for path in args.configs:
        if not osp.isfile(path):
            raise FileNotFoundError(f'there is no config {path!r}: give paths of config files, such as '
                                    'configs/picie/picie_fpn_camvid.py')
        name = osp.splitext(osp.basename(path))[0]
        if name in names:
            raise ValueError(f'{names[name]} and {path} have the same name and would share {args.work_dir}/{name}: '
                             'rename one')
        names[name] = path
    if len(set(args.seeds)) < len(args.seeds):
        raise ValueError(f'--seeds {" ".join(map(str, args.seeds))} has one twice, which would count as two runs: give '
                         'different ones')
    return [_make_run(args, path, name, seed) for seed in args.seeds for name, path in names.items()]


def _make_run(args: argparse.Namespace, path: str, name: str, seed: int) -> Run:
    cfg = load_config(path, args.cfg_options)
    merge_options(cfg, {'randomness.seed': seed})
    adapt_loaders(cfg)
    settings = {key: str(value) for key, value in flatten_config(cfg) if key != 'work_dir'}
    settings.update({'--amp': str(args.amp), '--compile': str(args.compile)})
    return Run(path, name, seed, osp.join(args.work_dir, name, f'seed_{seed}'), cfg, settings)


def describe_protocol(cfg: Config, args: argparse.Namespace) -> dict:
    """What the scores of a config were taken on.

    Raises:
        ValueError: the config does not evaluate.
    """
    if not cfg.get('val_dataloader') or not cfg.get('val_evaluator'):
        raise ValueError(f'{cfg.filename} has no val_dataloader or val_evaluator, so its runs would have no scores: '
                         'add them, as in configs/_base_/datasets/')
    config = cfg.val_dataloader.dataset
    dataset = DATASETS.build(config)
    resize = next((t for t in config.pipeline if t['type'].endswith('ResizeForEvaluation')), {})
    evaluators = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
    metric = next((e for e in evaluators if e['type'].endswith('HungarianIoUMetric')), None)
    matching = '-' if metric is None else f'{metric.get("match", "hungarian")}, on {metric.get("match_on", "count")}'
    optimizer = cfg.optim_wrapper.optimizer
    return {
        'data set': config.type.split('.')[-1],
        'validation images': len(dataset),
        'classes': len(dataset.metainfo['classes']) or '-',
        'K': fresh_settings(cfg)[0] or cfg.model.decode_head.n_clusters,
        'size': resize.get('size', '-'),
        'crop': resize.get('protocol', 'center_crop') if resize else '-',
        'matching': matching,
        'epochs': cfg.train_cfg.max_epochs,
        'batch': cfg.train_dataloader.batch_size,
        'optimiser': f'{optimizer.type}, lr {optimizer.get("lr", "-")}',
        'precision': 'mixed' if args.amp else 'float32',
    }


def train(run: Run, args: argparse.Namespace) -> None:
    """Bring a run to its end, unless it is there.

    Raises:
        ValueError: the folder holds a run with other settings.
        RuntimeError: the training failed.
    """
    record = load(run.record) if osp.isfile(run.record) else None
    if record is not None:
        _check_same_settings(run, record['settings'])
        if record['finished']:
            print(f'{run.name}, seed {run.seed}: finished before', flush=True)
            return
    os.makedirs(run.work_dir, exist_ok=True)
    _write_record(run, finished=False)
    command = [sys.executable, TRAIN, run.config, '--work-dir', run.work_dir]
    command += [f'--{name}' for name in ('amp', 'compile') if getattr(args, name)]
    if osp.isfile(osp.join(run.work_dir, 'last_checkpoint')):
        command.append('--resume')
    command += ['--cfg-options', *args.words, f'randomness.seed={run.seed}']
    log = osp.join(run.work_dir, 'train.log')
    print(f'{run.name}, seed {run.seed}: training, log {log}', flush=True)
    with open(log, 'a') as file:
        status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if status:
        raise RuntimeError(f'{run.name}, seed {run.seed}: training ended with status {status} ({_last_line(log)}): see '
                           f'{log}, then give the same command again; finished runs are kept')
    read_evaluations(run)
    _write_record(run, finished=True)


def _check_same_settings(run: Run, settings: Dict[str, str]) -> None:
    differing = sorted(key for key in {*settings, *run.settings} if settings.get(key) != run.settings.get(key))
    if differing:
        key = differing[0]
        raise ValueError(f'{run.work_dir} holds a run with other settings ({len(differing)} differ, such as {key}: '
                         f'{settings.get(key)} there, {run.settings.get(key)} now): give another --work-dir, or remove '
                         'that folder')


def _write_record(run: Run, finished: bool) -> None:
    """Replace the record in one step."""
    software = dict(mmseg_unsup=mmseg_unsup.__version__, torch=str(torch.__version__))
    with replacing(run.record) as part, open(part, 'w') as file:
        json.dump(dict(finished=finished, software=software, settings=run.settings), file, indent=1)


def _last_line(path: str) -> str:
    with open(path, errors='replace') as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1] if lines else 'no output'


def read_evaluations(run: Run) -> None:
    """Fill ``run.evaluations`` from the JSON logs; of a run that was resumed, the latest of each epoch counts.

    Raises:
        ValueError: there is none, or not that of the last epoch.
    """
    pattern = osp.join(run.work_dir, '*', 'vis_data', 'scalars.json')
    for path in sorted(glob.glob(pattern)):
        with open(path) as file:
            for line in file:
                try:
                    values = json.loads(line)
                except json.JSONDecodeError:  # cut off when a run was killed
                    continue
                if 'iter' not in values:  # which lines of the training have
                    scores = {name: value for name, value in values.items() if name not in NOT_SCORES}
                    run.evaluations[values['step']] = scores
    max_epochs = run.cfg.train_cfg.max_epochs
    if not run.evaluations:
        raise ValueError(f'no evaluation in {pattern}: check that the config has val_dataloader, val_evaluator, '
                         'vis_backends with LocalVisBackend and train_cfg.val_begin of at most max_epochs')
    if run.last != max_epochs:
        raise ValueError(f'the last evaluation in {pattern} is of epoch {run.last}, but the run has {max_epochs}: '
                         f'remove {run.work_dir} and give the same command again')


def kept_checkpoints(run: Run) -> Dict[int, str]:
    """Epoch -> path."""
    found = (re.fullmatch(r'epoch_(\d+)\.pth', name) for name in os.listdir(run.work_dir))
    return {int(match[1]): osp.join(run.work_dir, match[0]) for match in found if match}


def score_without_labels(run: Run, args: argparse.Namespace) -> None:
    """Fill ``run.label_free`` for the last checkpoint or, to select, for all that are kept; remembers what it did."""
    cache_path = osp.join(run.work_dir, 'label_free.json')
    cache = load(cache_path) if osp.isfile(cache_path) else {}
    n_clusters, settings = fresh_settings(run.cfg)
    n_clusters = n_clusters or run.cfg.model.decode_head.n_clusters
    for epoch, path in sorted(kept_checkpoints(run).items()):
        if epoch != run.last and args.select is None:
            continue
        key = f'epoch {epoch}, {args.images} images, {args.cells} cells'
        if key not in cache:
            print(f'{run.name}, seed {run.seed}: label-free scores of epoch {epoch}', flush=True)
            sample = sample_features(run.cfg, path, args.images, args.cells)
            kmeans = fit_kmeans(sample.rows, n_clusters, settings, seed=0)
            scores = label_free_scores(sample.rows, kmeans.cluster_centers_, sample.views)
            cache[key] = {name: _finite(value) for name, value in scores.items()}
            dump(cache, cache_path, indent=1)
        run.label_free[epoch] = cache[key]


def summarise(runs: List[Run], args: argparse.Namespace, protocols: Dict[str, dict]) -> dict:
    """Everything that the table says, as one JSON-able dict."""
    names = list(protocols)
    by_name = {name: [run for run in runs if run.name == name] for name in names}
    rows = [dict(name=title, **_row(by_name[members[0]], args.metrics, untrained=True))
            for title, members in untrained_groups(by_name, args.metrics).items()]
    rows += [dict(name=name, **_row(by_name[name], args.metrics)) for name in names]
    records = [load(run.record)['software'] for run in runs]
    software = {key: sorted({record[key] for record in records}) for key in records[0]}
    return dict(seeds=args.seeds, metrics=args.metrics, options=args.words, software=software, protocols=protocols,
                rows=rows, runs=[_run_report(run, args, protocols[run.name]['matching'] != '-') for run in runs])


def check_metrics(runs: List[Run], metrics: Sequence[str]) -> None:
    """
    Raises:
        ValueError: a metric that no run reported.
    """
    reported = sorted({name for run in runs for name in run.evaluations[run.last]})
    for metric in metrics:
        if metric not in reported:
            raise ValueError(f'no run reported the metric {metric!r}: choose with --metrics from those in the logs, '
                             f'{", ".join(reported) or "which have none (the config evaluates without labels)"}')


def untrained_groups(by_name: Dict[str, List[Run]], metrics: Sequence[str]) -> Dict[str, List[str]]:
    """Title of the row -> configs that start from the same scores, seed by seed."""
    groups: Dict[tuple, List[str]] = {}
    for name, runs in by_name.items():
        if all(0 in run.evaluations for run in runs):
            key = tuple(str(run.evaluations[0].get(metric)) for run in runs for metric in metrics)
            groups.setdefault(key, []).append(name)
    if list(groups.values()) == [list(by_name)]:
        return dict(untrained=list(by_name))
    return {f'untrained ({", ".join(members)})': members for members in groups.values()}


def _row(runs: List[Run], metrics: Sequence[str], untrained: bool = False) -> dict:
    """Mean and standard deviation (n - 1) of every metric over the runs; None where there is none."""
    row = dict(n=len(runs), scores={})
    for metric in metrics:
        values = [run.evaluations[0 if untrained else run.last].get(metric) for run in runs]
        usable = bool(values) and all(_is_number(value) for value in values)
        row['scores'][metric] = dict(
            values=[_finite(value) for value in values],
            mean=statistics.fmean(values) if usable else None,
            std=statistics.stdev(values) if usable and len(values) > 1 else None)
    return row


def _run_report(run: Run, args: argparse.Namespace, has_labels: bool) -> dict:
    evaluations = {epoch: {name: _finite(value) for name, value in scores.items()}
                   for epoch, scores in sorted(run.evaluations.items())}
    report = dict(config=run.config, name=run.name, seed=run.seed, work_dir=run.work_dir, last_epoch=run.last,
                  evaluations=evaluations, label_free=run.label_free,
                  best_epoch_by_labels=run.best_by_labels(_ranking_metric(args.metrics)) if has_labels else None)
    if args.select:
        report['selected_epoch'] = run.selected
        report['selected_checkpoint'] = kept_checkpoints(run).get(run.selected)
    return report


def _ranking_metric(metrics: Sequence[str]) -> str:
    return 'mIoU' if 'mIoU' in metrics else metrics[0]


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _finite(value) -> Optional[float]:
    """JSON has no NaN."""
    return value if _is_number(value) else None


def to_markdown(report: dict, args: argparse.Namespace) -> str:
    """The scores, then what they were taken on, the checkpoints, and the label-free scores."""
    seeds = ', '.join(map(str, report['seeds']))
    is_single = len(report['seeds']) == 1
    title = f'Last checkpoint of a single seed, {seeds}: no standard deviation.' if is_single else (
        f'Last checkpoint, mean ± standard deviation (n - 1) over seeds {seeds}.')
    software = ', '.join(f'{name} {" and ".join(versions)}' for name, versions in report['software'].items())
    parts = [title, _score_table(report), '## Protocol', _protocol_table(report),
             f'{software}; options: {" ".join(report["options"]) or "none"}', '## Checkpoints',
             _checkpoint_table(report, args)]
    not_before = sorted({run['name'] for run in report['runs'] if 0 not in run['evaluations']})
    if not_before:
        parts.insert(2, f'Not evaluated before training: {", ".join(not_before)} (add '
                     'default_hooks.initial_evaluation, mmseg_unsup.InitialEvaluationHook).')
    if any(run['label_free'] for run in report['runs']):
        parts += ['## Label-free scores', _label_free_table(report)]
    return '\n\n'.join(parts) + '\n'


def _score_table(report: dict) -> str:
    metrics = report['metrics']
    rows = [[row['name'], *(_mean_and_std(row['scores'][metric]) for metric in metrics), row['n']]
            for row in report['rows']]
    return _table(['', *(TITLES.get(metric, metric) for metric in metrics), 'seeds'], rows)


def _mean_and_std(score: dict) -> str:
    if score['mean'] is None:
        return '-'
    return f'{score["mean"]:.2f} ± ' + ('-' if score['std'] is None else f'{score["std"]:.2f}')


def _protocol_table(report: dict) -> str:
    columns = list(next(iter(report['protocols'].values())))
    return _table(['', *columns], [[name, *protocol.values()] for name, protocol in report['protocols'].items()])


def _checkpoint_table(report: dict, args: argparse.Namespace) -> str:
    """A row per run; scores are those of the metrics of the first table."""
    titles = ['', 'seed', 'last']
    titles += [f'chosen without labels, by {SELECT_BY}'] if args.select else []
    rows = []
    for run in report['runs']:
        epochs = [run['last_epoch'], *([run['selected_epoch']] if args.select else []), run['best_epoch_by_labels']]
        rows.append([run['name'], run['seed'], *(_epoch_scores(run, epoch, report['metrics']) for epoch in epochs)])
    return _table([*titles, f'best {_ranking_metric(report["metrics"])} by labels, for information'], rows)


def _epoch_scores(run: dict, epoch: Optional[int], metrics: Sequence[str]) -> str:
    if epoch is None:
        return '-'
    scores = run['evaluations'].get(epoch, {})
    listing = ' / '.join('-' if scores.get(metric) is None else f'{scores[metric]:.2f}' for metric in metrics)
    return f'epoch {epoch}: {listing}'


def _label_free_table(report: dict) -> str:
    rows = []
    for run in report['runs']:
        for epoch, scores in sorted(run['label_free'].items()):
            values = ['-' if scores[name] is None else f'{scores[name]:.3f}' for name in SCORES]
            rows.append([run['name'], run['seed'], epoch, *values])
    return _table(['', 'seed', 'epoch', *SCORES], rows)


def _table(titles: Sequence, rows: Sequence[Sequence]) -> str:
    lines = [titles, ['---'] * len(titles), *rows]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(words=[])
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument('--seeds', type=int, nargs='+', required=True, help='values of randomness.seed')
    parser.add_argument('--work-dir', default='work_dirs/seeds', help='folder of the runs (default: %(default)s)')
    parser.add_argument('--out-dir', help='folder of seeds.md and seeds.json (default: the work dir)')
    parser.add_argument('--metrics', nargs='+', default=['aAcc', 'mIoU'],
                        help='scores by their names in the log; those of the fresh k-means have no prefix '
                        '(default: aAcc mIoU)')
    parser.add_argument('--select', choices=['label-free'], help='also name a checkpoint per run, see above')
    parser.add_argument('--images', type=int, default=256, help='training images of the label-free scores')
    parser.add_argument('--cells', type=int, default=20_000, help='feature cells of them')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='passed on to tools/train.py')
    add_speed_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    register_all_modules()
    runs = plan_runs(args)
    protocols = {run.name: describe_protocol(run.cfg, args) for run in runs[:len(args.configs)]}
    for i, run in enumerate(runs):
        train(run, args)
        read_evaluations(run)
        if i + 1 == len(protocols):  # every config has run once: a wrong metric must not cost the other seeds
            check_metrics(runs[:i + 1], args.metrics)
    for run in runs:
        score_without_labels(run, args)
    report = summarise(runs, args, protocols)
    out = args.out_dir or args.work_dir
    os.makedirs(out, exist_ok=True)
    dump(report, osp.join(out, 'seeds.json'), indent=1)
    markdown = to_markdown(report, args)
    with open(osp.join(out, 'seeds.md'), 'w') as file:
        file.write(markdown)
    print(markdown)


if __name__ == '__main__':
    main()
