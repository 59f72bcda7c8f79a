"""Starts of supervised training, compared by what they reach with few labels: a table, a JSON file and a plot."""
import os
import os.path as osp
import re
from dataclasses import dataclass
from typing import List, Sequence

from mmengine.config import Config
from mmengine.fileio import list_from_file

from .subsets import write_subsets
from ..utils.atomic import write_json, write_text
from ..utils.config import find_config
from ..datasets.pictures import write_figure
from ..utils.run_logs import labels_seen
from ..utils.score_table import markdown_table
from .experiments import (Run, check_plan, describe_evaluation, describe_training, finite, format_mean_and_std,
                          mean_and_std, option_words, planned_config, software_of, train_all)

REQUIRED = ('config', 'starts', 'percents', 'seeds')
DEFAULTS = dict(subset_seed=None, metrics=['mIoU', 'aAcc'], cfg_options={}, amp=False)


@dataclass
class LabelRun(Run):
    """A start, a share of the labels and a seed."""
    start: str
    percent: float
    seed: int
    n_images: int


def read_settings(path: str) -> dict:
    """The entries of a YAML, JSON or Python file, all of them there; ``mmseg_unsup::NAME`` is one of the package."""
    path = find_config(path) if '::' in path else path
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no file {path!r}: give one such as '
                                'mmseg_unsup::finetune/label_efficiency_camvid.yml')
    given = Config.fromfile(path).to_dict()
    missing = [key for key in REQUIRED if key not in given]
    unknown = [key for key in given if key not in (*REQUIRED, *DEFAULTS)]
    if missing or unknown:
        raise KeyError(f'{path}: missing {missing or "nothing"}, unknown {unknown or "nothing"}; the entries are '
                       f'{", ".join((*REQUIRED, *DEFAULTS))}')
    settings = {**DEFAULTS, **given}
    for key in ('starts', 'percents', 'seeds', 'metrics'):
        if not settings[key]:
            raise ValueError(f'{path}: {key} is empty')
        if len(set(settings[key])) < len(settings[key]):
            raise ValueError(f'{path}: {key} has a value twice, {settings[key]}')
    for name in settings['starts']:
        if not re.fullmatch(r'[\w.+ -]+', str(name)):
            raise ValueError(f'{path}: the start {name!r} names a folder: use letters, digits, spaces and .+-_ only')
    settings['starts'] = {str(name): options or {} for name, options in settings['starts'].items()}
    settings['percents'] = sorted(settings['percents'])
    return settings


def plan_runs(settings: dict, work_dir: str, words: Sequence[str] = ()) -> List[LabelRun]:
    """The runs, seed by seed, so that all starts are compared early; writes the lists of the subsets."""
    words = [*option_words(settings['cfg_options']), *words]
    dataset = planned_config(settings['config'], words).train_dataloader.dataset
    runs = []
    for seed in settings['seeds']:
        subset_seed = seed if settings['subset_seed'] is None else settings['subset_seed']
        lists = write_subsets(dataset, osp.join(work_dir, 'subsets'), settings['percents'], subset_seed)
        for percent, path in lists.items():
            for start in settings['starts']:
                runs.append(_make_run(settings, work_dir, words, (start, percent, seed), path, 'splits' in dataset))
    return runs


def _make_run(settings: dict, work_dir: str, words: List[str], key: tuple, ann_file: str, has_splits: bool) -> LabelRun:
    start, percent, seed = key
    options = {name: value.replace('{seed}', str(seed)) if isinstance(value, str) else value
               for name, value in settings['starts'][start].items()}
    options.update({'train_dataloader.dataset.ann_file': ann_file, 'randomness.seed': seed})
    if has_splits:  # the names of the list begin with the split
        options['train_dataloader.dataset.splits'] = None
    words = [*words, *option_words(options)]
    flags = ['--amp'] if settings['amp'] else []
    cfg = planned_config(settings['config'], words, flags)
    _check_weights(cfg, start)
    title = f'{start}, {percent:g} % of the labels, seed {seed}'
    folder = osp.join(work_dir, start, f'percent_{percent:g}', f'seed_{seed}')
    return LabelRun(title, settings['config'], folder, words, flags, cfg, start, percent, seed,
                    len(list_from_file(ann_file)))


def _check_weights(cfg: Config, start: str) -> None:
    """A missing file must not be found after the runs of the other starts."""
    path = (cfg.model.backbone.get('init_cfg') or {}).get('checkpoint')
    if path and '://' not in path and not osp.isfile(osp.expanduser(path)):
        raise FileNotFoundError(f'the start {start!r} names {path!r}, which does not exist: correct its init')


def summarise(runs: List[LabelRun], settings: dict) -> dict:
    """Everything that table and plot say, as one JSON-able dict."""
    cells = []
    for start in settings['starts']:
        for percent in settings['percents']:
            members = [run for run in runs if (run.start, run.percent) == (start, percent)]
            scores = {metric: mean_and_std([run.evaluations[run.last].get(metric) for run in members])
                      for metric in settings['metrics']}
            cells.append(dict(start=start, percent=percent, images=members[0].n_images, seeds=len(members),
                              scores=scores))
    labels = {start: ' and '.join(sorted({labels_seen(run.work_dir) for run in runs if run.start == start}))
              for start in settings['starts']}
    cfg = runs[0].cfg
    subsets = 'one per seed' if settings['subset_seed'] is None else f'seed {settings["subset_seed"]} for all'
    protocol = {'config': osp.basename(settings['config']), **describe_evaluation(cfg),
                **describe_training(cfg, settings['amp']), 'subsets': subsets}
    return dict(settings=settings, protocol=protocol, software=software_of(runs), labels=labels, cells=cells,
                runs=[_run_report(run) for run in runs])


def _run_report(run: LabelRun) -> dict:
    scores = {name: finite(value) for name, value in run.evaluations[run.last].items()}
    return dict(start=run.start, percent=run.percent, seed=run.seed, images=run.n_images, work_dir=run.work_dir,
                options=run.words, labels=labels_seen(run.work_dir), scores=scores)


def to_markdown(report: dict) -> str:
    """A table per metric, then what the scores were taken on."""
    seeds = report['settings']['seeds']
    title = 'Last evaluation of a single seed: no standard deviation.' if len(seeds) == 1 else (
        f'Last evaluation, mean ± standard deviation (n - 1) over seeds {", ".join(map(str, seeds))}.')
    parts = [f'{title} `labels` are those that the weights have seen before.']
    for metric in report['settings']['metrics']:
        parts += [f'## {metric}', _metric_table(report, metric)]
    starts = [[start, ', '.join(f'{key}={value}' for key, value in options.items())]
              for start, options in report['settings']['starts'].items()]
    software = ', '.join(f'{name} {" and ".join(versions)}' for name, versions in report['software'].items())
    parts += ['## Protocol', markdown_table(list(report['protocol']), [list(report['protocol'].values())]),
              markdown_table(['start', 'options'], starts), software]
    return '\n\n'.join(parts) + '\n'


def _metric_table(report: dict, metric: str) -> str:
    columns = dict.fromkeys(f'{cell["percent"]:g} % ({cell["images"]} images)' for cell in report['cells'])
    rows = [[start, labels, *(format_mean_and_std(cell['scores'][metric]) for cell in report['cells']
                              if cell['start'] == start)] for start, labels in report['labels'].items()]
    return markdown_table(['start', 'labels', *columns], rows)


def plot(report: dict, metric: str, path: str) -> None:
    """The metric against the number of labelled images: a line of means and a band of one standard deviation."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6, 4.8), layout='constrained')
    axes = figure.subplots()
    for marker, start in zip('osD^vP*X' * len(report['labels']), report['labels']):
        cells = [cell for cell in report['cells']
                 if cell['start'] == start and cell['scores'][metric]['mean'] is not None]
        images = [cell['images'] for cell in cells]
        means = [cell['scores'][metric]['mean'] for cell in cells]
        stds = [cell['scores'][metric]['std'] or 0. for cell in cells]
        line, = axes.plot(images, means, f'{marker}-', label=f'{start}, seen before: {report["labels"][start]}')
        axes.fill_between(images, [m - s for m, s in zip(means, stds)], [m + s for m, s in zip(means, stds)],
                          color=line.get_color(), alpha=0.2, linewidth=0)
    ticks = sorted({(cell['images'], cell['percent']) for cell in report['cells']})
    axes.set_xscale('log')
    axes.minorticks_off()
    axes.set_xticks([images for images, _ in ticks], [f'{images}\n{percent:g} %' for images, percent in ticks])
    axes.set_xlabel('labelled images')
    axes.set_ylabel(f'{metric}, percent')
    axes.grid(alpha=0.3)
    figure.legend(loc='outside upper center', frameon=False, title='mean; band: standard deviation')
    write_figure(path, figure, dpi=150)


def compare_starts(settings: dict, work_dir: str, out: str, words: Sequence[str] = ()) -> str:
    """Train the runs of :func:`read_settings` with the words of ``--cfg-options``, and write
    ``label_efficiency.{md,json,png}`` into the folder ``out``; the table, in Markdown."""
    runs = plan_runs(settings, work_dir, words)
    table = osp.join(out, 'label_efficiency.json')
    check_plan(runs, table)
    train_all(runs, settings['metrics'], n_first=1)
    report = summarise(runs, settings)
    os.makedirs(out, exist_ok=True)
    write_json(table, report)
    markdown = to_markdown(report)
    write_text(osp.join(out, 'label_efficiency.md'), markdown)
    plot(report, settings['metrics'][0], osp.join(out, 'label_efficiency.png'))
    return markdown
