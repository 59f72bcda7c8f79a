"""Scores as a person reads them: plain tables and numbers of at most 80 columns."""
import re
from typing import Dict, Mapping, Optional, Sequence

from prettytable import PrettyTable

from .checks import is_finite

MAX_COLUMNS = 80
_MAIN = ('mIoU', 'aAcc')
_WORDS = dict(aAcc='accuracy (aAcc)', mAcc='accuracy of a class (mAcc)')
# rows of a table of before and after
_MAX_ROWS = 12
_NUMBER = re.compile(r'-|-?\d+\.?\d*')


def main_scores(metrics: Mapping[str, float]) -> Dict[str, float]:
    """The scores of what predicts, which have no prefix; without any, those of the first prefix."""
    sets = by_set(metrics)
    return next(iter(sets.values()), {}) if '' not in sets else sets['']


def headline(metrics: Mapping[str, float]) -> str:
    """The score to look at first, such as ``mIoU 43.21``; empty where there is none."""
    scores = main_scores(metrics)
    name = next((name for name in (*_MAIN, *scores) if name in scores), None)
    return '' if name is None else f'{name} {number(scores[name])}'


def by_set(metrics: Mapping[str, float]) -> Dict[str, Dict[str, float]]:
    """Prefix, empty for none -> name -> score."""
    sets: Dict[str, Dict[str, float]] = {}
    for key, value in metrics.items():
        prefix, _, name = key.rpartition('/')
        if isinstance(value, (int, float)):
            sets.setdefault(prefix, {})[name] = value
    return sets


def number(value: Optional[float]) -> str:
    """Two digits behind the point; ``-`` for none and what is no number."""
    return f'{value:.2f}' if is_finite(value) else '-'


def change_table(before: Optional[Mapping[str, float]], after: Mapping[str, float]) -> str:
    """The main scores of an evaluation beside those of an earlier one."""
    scores, former = main_scores(after), main_scores(before or {})
    names = [*(name for name in _MAIN if name in scores), *(name for name in scores if name not in _MAIN)][:_MAX_ROWS]
    rows = [[_WORDS.get(name, name), number(former.get(name)), number(scores[name])] for name in names]
    if before is None:
        return plain_table(['score', 'after'], [[name, value] for name, _, value in rows])
    return plain_table(['score', 'before', 'after'], rows)


def score_table(metrics: Mapping[str, float], name: str = '') -> str:
    """All scores, a row for each set of clusters; where that is too wide, a row for each score.

    Args:
        name: of the set without a prefix.
    """
    sets = by_set(metrics)
    titles = list(dict.fromkeys(title for scores in sets.values() for title in scores))
    rows = [[prefix or name, *(number(scores.get(title)) for title in titles)] for prefix, scores in sets.items()]
    table = plain_table(['clusters', *titles], rows) if len(sets) != 1 else plain_table(titles, [rows[0][1:]])
    if max(map(len, table.splitlines())) <= MAX_COLUMNS:
        return table
    return plain_table(['score', 'value'], [[key, number(value)] for key, value in metrics.items()
                                            if isinstance(value, (int, float))])


def plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    table = PrettyTable([*titles])
    table.align = 'r'
    if titles and rows and not _NUMBER.fullmatch(rows[0][0]):
        table.align[titles[0]] = 'l'
    table.add_rows([[*row] for row in rows])
    return table.get_string()


def markdown_table(titles: Sequence, rows: Sequence[Sequence]) -> str:
    """A table of Markdown, of what its cells are as text."""
    lines = [titles, ['---'] * len(titles), *rows]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)
