"""What the folder of a run says about it."""
import glob
import json
import os
import os.path as osp
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from .run_record import read_record

PHASE_PREFIX = 'seconds/'
# markers of lines in text logs
INITIALLY_SEEN, TRAINED_ON = 'labels seen by the initial weights: ', 'trained on labels: '
_SCALARS = osp.join('*', 'vis_data', 'scalars.json')
# what mmengine writes into a line of scores besides the scores
NOT_SCORES = ('step', 'time', 'data_time', 'memory')


@dataclass
class RunLog:
    """
    Attributes:
        steps: lines of the training as mmengine logs them: ``iter``, ``epoch``, ``lr``, ``loss`` and so on.
        evaluations: epoch, or iteration where the run counts those, -> scores; 0 is before training.
        phases: epoch -> seconds per phase, as :class:`mmseg_unsup.PhaseTimerHook` measures them.
    """
    steps: List[dict] = field(default_factory=list)
    evaluations: Dict[int, Dict[str, float]] = field(default_factory=dict)
    phases: Dict[int, Dict[str, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> Optional[float]:
        """Of all phases together; None where nothing measured them."""
        return sum(sum(of_epoch.values()) for of_epoch in self.phases.values()) if self.phases else None


def labels_seen(work_dir: str) -> str:
    """What the initial weights of a run have seen, as its text logs say, and the labels that it was trained on where
    its method else trains without; ``'unknown'`` for runs of old versions."""
    for path in _own_logs(work_dir, osp.join('*', '*.log')) + _own_logs(work_dir, '*.log'):
        with open(path, errors='replace') as file:
            lines = [line for line in file if INITIALLY_SEEN in line or TRAINED_ON in line]
        initial, trained = ([line.partition(marker)[2].strip() for line in lines if marker in line]
                            for marker in (INITIALLY_SEEN, TRAINED_ON))
        if initial:
            return initial[0] + (f'; {TRAINED_ON}{trained[0]}' if trained else '')
    return 'unknown'


def score_logs(work_dir: str) -> List[str]:
    """Paths of the JSON logs of a run, in the order in which it was continued."""
    return _own_logs(work_dir, _SCALARS)


def log_pattern(work_dir: str) -> str:
    """The pattern of the JSON logs of a run, for messages."""
    return osp.join(work_dir, _SCALARS)


def _own_logs(work_dir: str, pattern: str) -> List[str]:
    """Paths of logs, without those in folders of earlier runs whose place this one has taken."""
    former = (read_record(work_dir) or {}).get('former_logs', [])
    names = sorted(glob.glob(pattern, root_dir=work_dir))  # the folder may have brackets in its name
    return [osp.join(work_dir, name) for name in names if name.split(os.sep)[0] not in former]


def read_run_log(work_dir: str) -> RunLog:
    """Read the JSON logs of a run in the order in which it was continued: of what it repeated, the latest counts.
    FileNotFoundError where there is none."""
    paths = score_logs(work_dir)
    if not paths:
        raise FileNotFoundError(f'there is no {log_pattern(work_dir)}: give the work directory of a training whose '
                                'config has vis_backends with LocalVisBackend')
    log, steps = RunLog(), {}
    for path in paths:
        with open(path) as file:
            for line in file:
                try:
                    values = json.loads(line)
                except json.JSONDecodeError:  # cut off when a run was killed
                    continue
                phases = {name.removeprefix(PHASE_PREFIX): value for name, value in values.items()
                          if name.startswith(PHASE_PREFIX)}
                if 'iter' in values:  # which lines of the training have
                    steps[values['step']] = values
                elif phases:
                    log.phases[values['step']] = phases
                else:
                    log.evaluations[values['step']] = {
                        name: value for name, value in values.items() if name not in NOT_SCORES}
    log.steps = [steps[step] for step in sorted(steps)]
    return log
