"""Trainings of configs with several seeds, and one table: the work of ``mmseg-unsup seeds``."""
import os
import os.path as osp
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence

from mmengine.config import Config
from mmengine.fileio import load

from ..engine.checkpoint_files import numbered_checkpoints
from ..evaluation.evaluators import cluster_metric
from ..evaluation.protocol_cards import STARRED, ProtocolCard, card_table, unique_cards
from ..utils.atomic import write_json, write_text
from ..utils.checks import is_finite
from ..utils.console import say
from ..utils.run_logs import labels_seen
from ..utils.score_table import markdown_table
from .config_cards import card_of_config
from .experiments import (check_plan, describe_evaluation, describe_training, finite, format_mean_and_std,
                          mean_and_std, planned_config, software_of, train_all)
from .experiments import Run as TrainingRun
from .feature_sample import fit_kmeans, fresh_settings, sample_features
from .label_free import SCORES, label_free_scores

TITLES = dict(aAcc='accuracy')
SELECT_BY = 'view_NMI'


@dataclass
class Run(TrainingRun):
    """A config with a seed."""
    name: str
    seed: int
    label_free: Dict[int, Dict[str, float]] = field(default_factory=dict)  # epoch of a checkpoint -> scores

    @property
    def selected(self) -> Optional[int]:
        """Epoch of the best checkpoint by ``SELECT_BY``."""
        scored = {epoch: scores for epoch, scores in self.label_free.items() if scores[SELECT_BY] is not None}
        return max(scored, key=lambda epoch: (scored[epoch][SELECT_BY], epoch), default=None)

    def best_by_labels(self, metric: str) -> Optional[int]:
        """Epoch of the highest score after training began."""
        scored = {epoch: s[metric] for epoch, s in self.evaluations.items() if epoch and is_finite(s.get(metric))}
        return max(scored, key=scored.get, default=None)


def plan_runs(configs: Sequence[str], seeds: Sequence[int], work_dir: str, words: Sequence[str] = (),
              flags: Sequence[str] = ()) -> List[Run]:
    """The runs ``WORK_DIR/CONFIG/seed_S``, seed by seed, so that all configs are compared early.

    Args:
        words: of ``--cfg-options``, for all of them.
        flags: ``--amp`` and ``--compile``.
    """
    names = {}
    for path in configs:
        name = osp.splitext(osp.basename(path))[0]
        if name in names:
            raise ValueError(f'{names[name]} and {path} have the same name and would share {work_dir}/{name}: '
                             'rename one')
        names[name] = path
    if len(set(seeds)) < len(seeds):
        raise ValueError(f'--seeds {" ".join(map(str, seeds))} has one twice, which would count as two runs: give '
                         'different ones')
    runs = []
    for seed in seeds:
        for name, path in names.items():
            own = [*words, f'randomness.seed={seed}']
            folder = osp.join(work_dir, name, f'seed_{seed}')
            runs.append(Run(f'{name}, seed {seed}', path, folder, own, list(flags), planned_config(path, own, flags),
                            name, seed))
    return runs


def describe_protocol(cfg: Config, amp: bool) -> dict:
    """What the scores of a config, which must evaluate, were taken on."""
    evaluation, metric = describe_evaluation(cfg), cluster_metric(cfg, 'val')
    matching = '-' if metric is None else f'{metric.get("match", "hungarian")}, on {metric.get("match_on", "count")}'
    n_clusters = fresh_settings(cfg)[0] or cfg.model.decode_head.n_clusters
    return dict(evaluation, K=n_clusters, matching=matching, **describe_training(cfg, amp))


def kept_checkpoints(run: Run) -> Dict[int, str]:
    """Epoch -> path."""
    return {number: path for (kind, number), path in numbered_checkpoints(run.work_dir).items() if kind == 'epoch'}


def score_without_labels(run: Run, select: bool, n_images: int, n_cells: int) -> None:
    """Fill ``run.label_free`` for the last checkpoint or, to select, for all that are kept; remembers what it did."""
    cache_path = osp.join(run.work_dir, 'label_free.json')
    cache = load(cache_path) if osp.isfile(cache_path) else {}
    n_clusters, settings = fresh_settings(run.cfg)
    n_clusters = n_clusters or run.cfg.model.decode_head.n_clusters
    for epoch, path in sorted(kept_checkpoints(run).items()):
        if epoch != run.last and not select:
            continue
        key = f'epoch {epoch}, {n_images} images, {n_cells} cells'
        if key not in cache:
            say(f'{run.title}: label-free scores of epoch {epoch}')
            sample = sample_features(run.cfg, path, n_images, n_cells)
            kmeans = fit_kmeans(sample.rows, n_clusters, settings, seed=0)
            scores = label_free_scores(sample.rows, kmeans.cluster_centers_, sample.views)
            cache[key] = {name: finite(value) for name, value in scores.items()}
            write_json(cache_path, cache)
        run.label_free[epoch] = cache[key]


def summarise(runs: List[Run], protocols: Dict[str, dict], metrics: Sequence[str], words: Sequence[str] = (),
              select: bool = False) -> dict:
    """Everything that the table says, as one JSON-able dict.

    Args:
        protocols: name of a config -> what its scores were taken on.
        words: the options of all runs.
        select: also name a checkpoint per run, without labels.
    """
    by_name = {name: [run for run in runs if run.name == name] for name in protocols}
    rows = [dict(name=title, config=members[0], **_row(by_name[members[0]], metrics, untrained=True))
            for title, members in untrained_groups(by_name, metrics).items()]
    for name, of_config in by_name.items():
        rows.append(dict(name=name, config=name, **_row(of_config, metrics)))
        protocols[name]['labels'] = ' and '.join(sorted({labels_seen(run.work_dir) for run in of_config}))
    reports = [_run_report(run, metrics, protocols[run.name]['matching'] != '-', select) for run in runs]
    cards = _add_cards(rows, by_name, protocols)
    return dict(seeds=list(dict.fromkeys(run.seed for run in runs)), metrics=list(metrics), options=list(words),
                software=software_of(runs), protocols=protocols, cards=cards, rows=rows, runs=reports)


def _add_cards(rows: List[dict], by_name: Dict[str, List[Run]], protocols: Dict[str, dict]) -> List[dict]:
    """The protocol cards of a table, of which its rows get ``card``, and ``data``; none where one has no card."""
    found = {name: card_of_config(runs[0].cfg, protocols[name]['labels']) for name, runs in by_name.items()}
    if None in found.values():
        return []
    cards = unique_cards(found.values())
    for row in rows:
        card, protocol = found[row['config']], protocols[row['config']]
        row['card'] = next(each.name for each in cards if not card.differences(each))
        row['data'] = dict(kind=protocol['data set'], images=protocol['validation images'], classes=protocol['classes'])
    return [card.to_dict() for card in cards]


def untrained_groups(by_name: Dict[str, List[Run]], metrics: Sequence[str]) -> Dict[str, List[str]]:
    """Title of the row -> configs that start from the same scores, seed by seed."""
    groups: Dict[tuple, List[str]] = {}
    for name, runs in by_name.items():
        if all(0 in run.evaluations and run.last for run in runs):
            key = tuple(str(run.evaluations[0].get(metric)) for run in runs for metric in metrics)
            groups.setdefault(key, []).append(name)
    if list(groups.values()) == [list(by_name)]:
        return dict(untrained=list(by_name))
    return {f'untrained ({", ".join(members)})': members for members in groups.values()}


def _row(runs: List[Run], metrics: Sequence[str], untrained: bool = False) -> dict:
    """Mean and standard deviation (n - 1) of every metric over the runs; None where there is none."""
    evaluated = [run.evaluations[0 if untrained else run.last] for run in runs]
    scores = {metric: mean_and_std([of_run.get(metric) for of_run in evaluated]) for metric in metrics}
    minutes = None if untrained or None in [run.seconds for run in runs] else [run.seconds / 60 for run in runs]
    return dict(n=len(runs), scores=scores, minutes=minutes and mean_and_std(minutes))


def _run_report(run: Run, metrics: Sequence[str], has_labels: bool, select: bool) -> dict:
    evaluations = {epoch: {name: finite(value) for name, value in scores.items()}
                   for epoch, scores in sorted(run.evaluations.items())}
    report = dict(config=run.config, name=run.name, seed=run.seed, work_dir=run.work_dir, last_epoch=run.last,
                  evaluations=evaluations, label_free=run.label_free,
                  best_epoch_by_labels=run.best_by_labels(_ranking_metric(metrics)) if has_labels else None)
    if select:
        report['selected_epoch'] = run.selected
        report['selected_checkpoint'] = kept_checkpoints(run).get(run.selected)
    return report


def _ranking_metric(metrics: Sequence[str]) -> str:
    return 'mIoU' if 'mIoU' in metrics else metrics[0]


def to_markdown(report: dict) -> str:
    """The scores, then what they were taken on, the checkpoints, and the label-free scores."""
    seeds = ', '.join(map(str, report['seeds']))
    is_single = len(report['seeds']) == 1
    title = f'Last checkpoint of a single seed, {seeds}: no standard deviation.' if is_single else (
        f'Last checkpoint, mean ± standard deviation (n - 1) over seeds {seeds}.')
    software = ', '.join(f'{name} {" and ".join(versions)}' for name, versions in report['software'].items())
    columns = list(dict.fromkeys(key for protocol in report['protocols'].values() for key in protocol))
    protocols = [[name, *(protocol.get(key, '-') for key in columns)]
                 for name, protocol in report['protocols'].items()]
    parts = [title, _score_table(report), '## Protocol', markdown_table(['', *columns], protocols), *_cards(report),
             f'{software}; options: {" ".join(report["options"]) or "none"}', '## Checkpoints',
             _checkpoint_table(report)]
    not_before = sorted({run['name'] for run in report['runs'] if 0 not in run['evaluations']})
    if not_before:
        parts.insert(2, f'Not evaluated before training: {", ".join(not_before)} (add '
                     'default_hooks.initial_evaluation, mmseg_unsup.InitialEvaluationHook).')
    if any(run['label_free'] for run in report['runs']):
        parts += ['## Label-free scores', _label_free_table(report)]
    return '\n\n'.join(parts) + '\n'


def _cards(report: dict) -> List[str]:
    """The protocol cards of the table; where there are several, how to read them."""
    cards = [ProtocolCard(**values) for values in report['cards']]
    return [card_table(cards), STARRED][:len(cards)]


def _score_table(report: dict) -> str:
    metrics = report['metrics']
    rows = [[row['name'], *(format_mean_and_std(row['scores'][metric]) for metric in metrics), row['n'],
             f'{row["minutes"]["mean"]:.1f}' if row['minutes'] else '-'] for row in report['rows']]
    return markdown_table(['', *(TITLES.get(metric, metric) for metric in metrics), 'seeds', 'minutes'], rows)


def _checkpoint_table(report: dict) -> str:
    """A row per run; scores are those of the metrics of the first table."""
    select = 'selected_epoch' in report['runs'][0]
    titles = ['', 'seed', 'last']
    titles += [f'chosen without labels, by {SELECT_BY}'] if select else []
    rows = []
    for run in report['runs']:
        epochs = [run['last_epoch'], *([run['selected_epoch']] if select else []), run['best_epoch_by_labels']]
        rows.append([run['name'], run['seed'], *(_epoch_scores(run, epoch, report['metrics']) for epoch in epochs)])
    return markdown_table([*titles, f'best {_ranking_metric(report["metrics"])} by labels, for information'], rows)


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
    return markdown_table(['', 'seed', 'epoch', *SCORES], rows)


def train_seeds(runs: List[Run], out: str, metrics: Sequence[str], words: Sequence[str] = (), amp: bool = False,
                select: bool = False, n_images: int = 256, n_cells: int = 20_000) -> str:
    """Train runs that :func:`plan_runs` has planned, and write ``seeds.md`` and ``seeds.json`` into the folder ``out``;
    the table, in Markdown. Label-free scores are of ``n_cells`` cells of ``n_images`` training images."""
    table = osp.join(out, 'seeds.json')
    check_plan(runs, table)
    protocols = {run.name: describe_protocol(run.cfg, amp) for run in runs if run.seed == runs[0].seed}
    train_all(runs, metrics, n_first=len(protocols))  # every config with one seed
    for run in runs:
        score_without_labels(run, select, n_images, n_cells)
    report = summarise(runs, protocols, metrics, words, select)
    os.makedirs(out, exist_ok=True)
    write_json(table, report)
    markdown = to_markdown(report)
    write_text(osp.join(out, 'seeds.md'), markdown)
    return markdown
