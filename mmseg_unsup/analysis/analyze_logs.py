"""Curves of one or several runs, and a table that compares them."""
import glob
import os.path as osp
from typing import Dict, List, Sequence

from ..datasets.pictures import write_figure
from ..utils.checks import is_finite
from ..utils.config_text import parse_config_text
from ..utils.config_keys import flatten_config
from ..utils.near_names import did_you_mean, similar
from ..utils.run_logs import RunLog, labels_seen, read_run_log
from ..utils.score_table import markdown_table

_LOCAL = ('work_dir', 'launcher', 'load_from', 'resume', 'gpu_ids', 'env_cfg.dist_cfg.port')


def names_of(runs: Sequence[str]) -> List[str]:
    """The shortest ends of the paths that tell the runs apart."""
    parts = [osp.normpath(osp.abspath(run)).split(osp.sep) for run in runs]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ['/'.join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f'a run is given twice: {" ".join(runs)}')


def differing_settings(runs: Sequence[str]) -> Dict[str, List[str]]:
    """Dotted key -> its value in every run, for those that are not the same everywhere."""
    flat = []
    for run in runs:
        configs = sorted(glob.glob(osp.join(run, '*.py')), key=osp.getmtime)
        settings = {}
        if configs:  # as mmengine dumps them: results are read, not run
            with open(configs[-1], encoding='utf-8', errors='replace') as file:
                settings = parse_config_text(file.read())
        flat.append({key: str(value) for key, value in flatten_config(settings)})
    keys = dict.fromkeys(key for settings in flat for key in settings if key not in _LOCAL)
    values = {key: [settings.get(key, '-') for settings in flat] for key in keys}
    return {key: found for key, found in values.items() if len(set(found)) > 1}


def table(names: Sequence[str], logs: Sequence[RunLog], runs: Sequence[str], keys: Sequence[str]) -> str:
    """Markdown, a column per run."""
    last = [log.evaluations[max(log.evaluations)] if log.evaluations else {} for log in logs]
    scores = list(dict.fromkeys(name for values in last for name in values))
    rows = [['last evaluation', *(max(log.evaluations, default='-') for log in logs)]]
    rows += [[name, *(f'{values[name]:.4g}' if is_finite(values.get(name)) else '-' for values in last)]
             for name in scores if not keys or name in keys]
    seconds = [sum(sum(phases.values()) for phases in log.phases.values()) for log in logs]
    rows += [['seconds', *(f'{value:.0f}' if value else '-' for value in seconds)],
             ['labels seen', *map(labels_seen, runs)]]
    rows += [[key, *values] for key, values in differing_settings(runs).items()]
    return markdown_table(['', *names], rows)


def curve(log: RunLog, key: str) -> List[tuple]:
    """(iteration or epoch, value) of a name in the log."""
    points = [(step['iter'], step[key]) for step in log.steps if is_finite(step.get(key))]
    return points or [(step, scores[key]) for step, scores in sorted(log.evaluations.items())
                      if is_finite(scores.get(key))]


def plot(names: Sequence[str], logs: Sequence[RunLog], keys: Sequence[str], path: str) -> None:
    """A panel per key, which some run must have, and a line per run."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6 * len(keys), 4), layout='constrained')
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys):
        curves = {name: curve(log, key) for name, log in zip(names, logs)}
        if not any(curves.values()):
            known = dict.fromkeys(name for log in logs for values in (*log.steps, *log.evaluations.values())
                                  for name in values if is_finite(values[name]))
            told = did_you_mean(similar(key, known), f'choose from {", ".join(known) or "nothing, as they are empty"}')
            raise ValueError(f'no run has logged {key!r}: {told}')
        for name, points in curves.items():
            axes.plot(*zip(*points or [(float('nan'), ) * 2]), 'o-' if len(points) < 30 else '-', label=name)
        of_steps = any(key in step for log in logs for step in log.steps)
        axes.set_xlabel('iteration' if of_steps else 'epoch')
        axes.set_ylabel(key)
        axes.grid(alpha=0.3)
        axes.legend()
    write_figure(path, figure)


def compare_runs(runs: Sequence[str], keys: Sequence[str] = (), out: str = 'curves.png') -> str:
    """The table of some runs, in Markdown.

    Args:
        runs: work directories.
        keys: names in the log to draw, and the scores of the table; without any there are all scores and no curves.
        out: picture of the curves.
    """
    names = names_of(runs)
    logs = [read_run_log(run) for run in runs]
    if keys:
        plot(names, logs, keys, out)
    return table(names, logs, runs, keys)
