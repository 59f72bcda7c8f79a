"""The report of a run as one HTML file that needs nothing else."""
import base64
from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

import cv2
import numpy as np
from markupsafe import Markup

from ..utils.checks import is_finite
from ..utils.run_logs import RunLog
from .html import render_page
from .line_chart import line_chart

_MAX_LINES, _MAX_POINTS = 6, 200
# of the lines of the training, in this order; what begins with loss comes first
_CURVES = (('loss', 'Loss'), ('acc', 'Accuracy in training'), ('lr', 'Learning rate'))
_NO_CURVES = ('iter', 'step', 'epoch', 'time', 'data_time', 'memory', 'base_lr')


@dataclass
class RunFacts:
    """What the page says of a run beside its log."""
    title: str  # name of the config
    unit: str  # what evaluations are counted in, 'epoch' or 'iteration'
    n_images: int  # training images that an epoch reads, over all processes
    facts: Dict[str, str]  # name -> value; shown at the top
    software: Dict[str, str]  # name -> version
    settings: str  # text of the config
    pictures: Dict[str, np.ndarray] = field(default_factory=dict)  # RGB, clusters of the last evaluation


def render_report(run: RunFacts, log: RunLog) -> str:
    """The page: facts, scores, curves, seconds per phase, images a second, pictures, settings, versions."""
    return render_page(
        'report', run=run, scores=_score_table(log, run.unit), curves=_curves(log, run.unit),
        times=_times(log, run.n_images), pictures={name: _data_uri(picture) for name, picture in run.pictures.items()})


def _score_table(log: RunLog, unit: str) -> dict:
    """The first and the last evaluation."""
    if not log.evaluations:
        return {}
    steps = sorted({min(log.evaluations), max(log.evaluations)})
    names = [name for name, value in log.evaluations[steps[-1]].items() if is_finite(value)]
    rows = [(name, [log.evaluations[step].get(name) for step in steps]) for name in names]
    return dict(columns=[f'{unit} {step}' for step in steps], rows=rows)


def _curves(log: RunLog, unit: str) -> List[Tuple[str, List[str], Markup]]:
    """(title, names of the lines, SVG)."""
    lines = [('iteration', title, _series(log.steps, prefix)) for prefix, title in _CURVES]
    lines += [(unit, title, series) for title, series in _score_series(log).items()]
    return [(title, list(series), line_chart(series, x_title)) for x_title, title, series in lines if series]


def _series(steps: Sequence[dict], prefix: str) -> Dict[str, list]:
    names = dict.fromkeys(name for values in steps for name in values
                          if name.startswith(prefix) and name not in _NO_CURVES)
    series = {name: [(values['iter'], values[name]) for values in steps if is_finite(values.get(name))]
              for name in list(names)[:_MAX_LINES]}
    return {name: _thin(points) for name, points in series.items() if points}


def _score_series(log: RunLog) -> Dict[str, Dict[str, list]]:
    """Scores by their group, ``linear`` of ``linear/mIoU``; standard deviations are no curves."""
    groups: Dict[str, Dict[str, list]] = {}
    for step in sorted(log.evaluations):
        for name, value in log.evaluations[step].items():
            if is_finite(value) and not name.endswith('_std'):
                group, _, score = name.rpartition('/')
                lines = groups.setdefault(f'Scores, {group}' if group else 'Scores', {})
                lines.setdefault(score, []).append((step, value))
    return {title: dict(list(series.items())[:_MAX_LINES]) for title, series in groups.items()}


def _times(log: RunLog, n_images: int) -> dict:
    """Seconds per phase, and images a second of the training phase."""
    if not log.phases:
        return {}
    names = list(dict.fromkeys(name for phases in log.phases.values() for name in phases))
    totals = {name: sum(phases.get(name, 0.) for phases in log.phases.values()) for name in names}
    rows = [(epoch, [phases.get(name) for name in names],
             n_images / phases['train'] if phases.get('train') else None)
            for epoch, phases in sorted(log.phases.items())]
    return dict(names=names, rows=rows, totals=totals, all=sum(totals.values()))


def _thin(points: List[tuple]) -> List[tuple]:
    """At most ``_MAX_POINTS`` of the points, the last one among them."""
    stride = -(-len(points) // _MAX_POINTS)
    return points[::-1][::stride][::-1]


def _data_uri(picture: np.ndarray) -> str:
    content = cv2.imencode('.png', picture[..., ::-1])[1].tobytes()
    return f'data:image/png;base64,{base64.b64encode(content).decode()}'
