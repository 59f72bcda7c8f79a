"""What every writer of annotations is given."""
import json
import os.path as osp
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from ..utils.atomic import replacing
from .regions import Region


class Job(NamedTuple):
    """Where annotations go, and what all images share.

    Attributes:
        out: folder of the results.
        names: of the classes.
        palette: (C, 3) uint8 RGB.
        root: folder of the images.
        drawing_of: name of an image -> path of the image coloured by its map, which may have a legend at its right.
    """
    out: str
    names: Sequence[str]
    palette: np.ndarray
    root: str
    drawing_of: Optional[Callable[[str], str]] = None

    def hex_color(self, class_id: int) -> str:
        """Such as ``#ff8000``."""
        return f'#{bytes(self.palette[class_id].tolist()).hex()}'


class Drawn(NamedTuple):
    """A map that is to be written.

    Attributes:
        number: of the image, from 1 on.
        name: of the image, below the folder of all.
        ids: (H, W) class ids; those from the number of classes on are void.
        regions: of it; none where no format asks for polygons.
    """
    number: int
    name: str
    ids: np.ndarray
    regions: List[Region]


Add = Callable[[Drawn], None]


@contextmanager
def json_items(path: str, head: str = '[', tail: Callable[[], str] = lambda: ']') -> Iterator[Callable[[Any], None]]:
    """A JSON file that is written item by item and is there when the block ends; yields what adds one."""
    with replacing(path) as part, open(part, 'w', encoding='utf-8') as file:
        file.write(head)
        n_items = 0

        def add(item: Any) -> None:
            nonlocal n_items
            file.write(',\n' * (n_items > 0) + as_json(item))
            n_items += 1

        yield add
        file.write(f'{tail()}\n')


def as_json(value: Any) -> str:
    """On one line, in the letters of the value."""
    return json.dumps(value, ensure_ascii=False, separators=(',', ':'))


def plain(numbers: np.ndarray, digits: int = 2) -> list:
    """Numbers as JSON has them, whole ones without a point."""
    return [int(number) if number == int(number) else round(number, digits) for number in numbers.ravel().tolist()]


def slashes(name: str) -> str:
    """A path as these formats have it on every system."""
    return name.replace(osp.sep, '/')
