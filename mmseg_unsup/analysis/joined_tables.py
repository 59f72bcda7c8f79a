"""One table of the scores of several evaluations, if they were made alike: the work of ``mmseg-unsup join-tables``."""
import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Sequence

from mmengine.fileio import load

from ..evaluation.protocol_cards import STARRED, ProtocolCard, card_from, card_table, unique_cards
from ..utils.checks import is_finite
from ..utils.score_table import markdown_table, number
from .experiments import format_mean_and_std

_TITLES = dict(aAcc='accuracy')
_REMEDY = ('take the rows of one card by --card NAME, or put unlike ones into one table by --unlike, which then says '
           'what differs')


class ScoreRow(NamedTuple):
    """A row of a table.

    Attributes:
        data: what it was scored on.
        scores: metric -> number, or mean and deviation as of :func:`mean_and_std`.
    """
    name: str
    card: ProtocolCard
    data: str
    scores: Dict[str, object]
    source: str


def read_rows(path: str) -> List[ScoreRow]:
    """The rows of ``evaluation.json`` or ``seeds.json``.

    Raises:
        OSError: there is no such file.
        ValueError: it holds no table with protocol cards, or scores that are no numbers.
    """
    report = _report(path)
    try:
        cards = {values['name']: card_from(values, path) for values in report['cards']}
        rows = [ScoreRow(row['name'], cards[row['card']], _data(report, row), dict(row['scores']), path)
                for row in report['rows']]
        is_table = rows and len(cards) == len(report['cards']) and all(isinstance(row.name, str) for row in rows)
    except (KeyError, TypeError, AttributeError):
        is_table = False
    if not is_table:
        raise ValueError(f'{path} holds no table of rows that each have a protocol card: write it again by the command '
                         'that made it')
    for row in rows:
        _check_scores(row)
    return rows


def _check_scores(row: ScoreRow) -> None:
    for metric, value in row.scores.items():
        numbers = [value.get('mean', ''), value.get('std', '')] if isinstance(value, dict) else [value]
        if not all(each is None or is_finite(each) for each in numbers):
            raise ValueError(f'{row.source} has {metric}={value!r} in the row {row.name!r}, which is no score: write '
                             'it again by the command that made it')


def _report(path: str) -> dict:
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no table {path!r}: name an evaluation.json or a seeds.json')
    try:
        return load(path, file_format='json')
    except (ValueError, RecursionError):
        raise ValueError(f'{path} is no JSON: name an evaluation.json or a seeds.json') from None


def _data(report: dict, row: dict) -> str:
    data = row.get('data') or report['data']
    return f'{data["kind"]}, {data["images"]} images, {data["classes"]} classes'


def join_tables(paths: Sequence[str], metrics: Sequence[str], card: Optional[str] = None, unlike: bool = False) -> str:
    """The Markdown table of all rows, with their cards.

    Args:
        card: take only rows of cards of this name.
        unlike: allow rows of cards, or data, that differ.

    Raises:
        ValueError: a table is named twice; rows were not made alike, and ``unlike`` is off; a table has no such card or
            metric.
    """
    twice = next((path for path in paths if [*map(osp.realpath, paths)].count(osp.realpath(path)) > 1), None)
    if twice is not None:
        raise ValueError(f'{twice} is named twice: name each table once')
    rows = [row for path in paths for row in _of_card(read_rows(path), card, path)]
    if not unlike:
        check_alike(rows)
    cards = unique_cards(row.card for row in rows)
    return _table(rows, cards, metrics)


def _of_card(rows: List[ScoreRow], card: Optional[str], path: str) -> List[ScoreRow]:
    found = [row for row in rows if card in (None, row.card.name)]
    if not found:
        names = ', '.join(dict.fromkeys(row.card.name for row in rows))
        raise ValueError(f'{path} has no row of the card {card!r}, but of {names}: give one of these')
    return found


def check_alike(rows: Sequence[ScoreRow]) -> None:
    """Raise ValueError unless all rows have one card, whatever its name, and one data set."""
    first, *others = rows
    for row in others:
        told = first.card.describe_differences(row.card)
        if first.data != row.data:
            told = ', '.join(filter(None, [told, f'data ({first.data} and {row.data})']))
        if told:
            raise ValueError(f'{first.name} of {first.source} and {row.name} of {row.source} were not scored alike, '
                             f'they differ in {told}: {_REMEDY}')


def _table(rows: Sequence[ScoreRow], cards: List[ProtocolCard], metrics: Sequence[str]) -> str:
    lines = []
    for row in rows:
        values = [_text(row, metric) for metric in metrics]
        name = next(card.name for card in cards
                    if not card.differences(row.card) and card.name.startswith(row.card.name))
        lines.append([row.name, name, row.data, *values])
    titles = ['', 'card', 'data', *(_TITLES.get(metric, metric) for metric in metrics)]
    return '\n\n'.join([markdown_table(titles, lines), card_table(cards), *([STARRED] if len(cards) > 1 else [])])


def _text(row: ScoreRow, metric: str) -> str:
    if metric not in row.scores:
        raise ValueError(f'{row.source} has no score {metric!r}, but {", ".join(row.scores)}: choose with --metrics')
    value = row.scores[metric]
    return format_mean_and_std(value) if isinstance(value, dict) else number(value)
