"""What may have been meant by a name that is not known."""
from difflib import SequenceMatcher, get_close_matches
from typing import Iterable, List, Sequence

_MAX_LISTED = 20
# difference of the ratios of names that are about as near
_TIE = 0.1


def similar(name: str, names: Iterable[str]) -> List[str]:
    """Names that are spelt nearly so, three at most: the nearest first, the others about as near."""
    names = [*names]
    for wanted, cutoff in ((name, 0.6), (name.replace('_', ''), 0.5)):
        near = get_close_matches(wanted, names, cutoff=cutoff)
        if near:
            ratios = [SequenceMatcher(None, other, wanted).ratio() for other in near]
            return [other for other, ratio in zip(near, ratios) if ratio > ratios[0] - _TIE]
    return []


def did_you_mean(near: Sequence[str], otherwise: str = '') -> str:
    """The question whether one of these was meant; ``otherwise`` where there are none."""
    return f'did you mean {" or ".join(near)}?' if near else otherwise


def shortened(text: str, length: int) -> str:
    """A text for a message: what is too long ends with dots."""
    return text if len(text) <= length else f'{text[:length - 3]}...'


def advice(name: str, names: Iterable[str]) -> str:
    """The end of a message on an unknown name: those like it, or all of them where they are few."""
    names = sorted(names)
    listed = f': there are {", ".join(names)}' if 0 < len(names) <= _MAX_LISTED else ', nor any name like it'
    near = similar(name, names)
    return f': {did_you_mean(near)}' if near else listed
