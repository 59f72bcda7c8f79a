"""Options of a config: what is wrong with them is said when they are read, not after hours."""
import argparse
import math
from numbers import Integral, Real
from typing import Any, Callable, Iterable

from .near_names import did_you_mean, similar


def check_count(name: str, value: Any, low: int = 1) -> None:
    """Raise ValueError unless this is a whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        kind = '' if isinstance(value, Integral) else ' and a whole number'
        raise ValueError(f'{name} must be at least {low}{kind}, but it is {value!r}')


def check_counts(low: int = 1, **values: Any) -> None:
    """Raise ValueError unless all of these are whole numbers of at least ``low``."""
    for name, value in values.items():
        check_count(name, value, low)


def check_positive(name: str, value: Any) -> None:
    """Raise ValueError unless this is a finite number above 0."""
    if not is_finite(value) or value <= 0:
        raise ValueError(f'{name} must be a positive number, but it is {value!r}')


def check_share(name: str, value: Any, includes_one: bool = True) -> None:
    """Raise ValueError unless this is a number in [0, 1], or in [0, 1)."""
    if not is_finite(value) or not (0 <= value <= 1 if includes_one else 0 <= value < 1):
        raise ValueError(f'{name} must lie in [0, 1{"]" if includes_one else ")"}, but it is {value!r}')


def check_interval(name: str, value: Any) -> None:
    """Raise ValueError unless these are two finite numbers, the first one not larger."""
    pair = value if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(is_finite, pair)) or pair[0] > pair[1]:
        raise ValueError(f'{name} must be (low, high), two finite numbers in this order, but it is {value!r}')


def check_choice(kind: str, value: Any, known: Iterable[str], further: str = '') -> None:
    """Raise ValueError unless this is one of the names that are known; suggests those that are spelt nearly so.

    Args:
        kind: what has the name.
        further: what else it may be.
    """
    names = list(known)
    if value not in names:
        asked = did_you_mean(similar(str(value), names))
        told = f' ({asked})' if asked else ''
        raise ValueError(f'there is no {kind} {value!r}{told}: give one of {", ".join(names)}{further}')


def at_least(low: int) -> Callable[[str], int]:
    """A ``type`` of argparse: whole numbers from ``low`` on."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low:
            raise argparse.ArgumentTypeError(f'it must be a whole number of at least {low}, but it is {text!r}')
        return number

    return parse


def number_from(low: float) -> Callable[[str], float]:
    """A ``type`` of argparse: finite numbers from ``low`` on."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= low):
            raise argparse.ArgumentTypeError(f'it must be a number of at least {low}, but it is {text!r}')
        return number

    return parse


def is_finite(value: Any) -> bool:
    """Whether this is a number other than infinity and NaN."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
