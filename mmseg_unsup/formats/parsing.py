"""Reading annotation files with every fault named by its place."""
import json
import os
import os.path as osp
from contextlib import contextmanager
from typing import Any, Iterator, List, Type
from xml.etree import ElementTree

from ..utils.paths import printable


def named(path: str, image: str) -> str:
    """How messages call an image of a file."""
    return f'{printable(path)}, image {printable(image)},'


def files_below(folder: str, ending: str) -> List[str]:
    """Paths of the files below a folder whose names end so, sorted."""
    return sorted(osp.join(parent, name) for parent, _, names in os.walk(folder) for name in names
                  if name.endswith(ending))


def get(item: Any, key: str, kind: Type, where: str) -> Any:
    """The value of a JSON object; ValueError if it is not there or of another type. A whole float passes for an int."""
    value = item.get(key) if isinstance(item, dict) else None
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f'{printable(where)} lacks {key!r}, or has another value there than expected: '
                         f'{item!r:.60}; export the file anew')
    return value


@contextmanager
def understanding(path: str) -> Iterator[None]:
    """A block that reads what a file holds: values of other types than expected raise ValueError."""
    try:
        yield
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f'{printable(path)} holds what its format does not know: {error}; export it anew') from None


def load_json(path: str) -> Any:
    """The content of a JSON file; ValueError if it is none."""
    try:
        with open(path, encoding='utf-8-sig') as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:  # json's and unicode's errors are of the first type
        raise ValueError(f'{printable(path)} cannot be read as JSON: {error}') from None


class _Plain(ElementTree.TreeBuilder):
    """Without a document type, whose entities stand for texts of any length."""

    def doctype(self, name: str, *identifiers) -> None:
        raise ValueError(f'it declares a document type {name!r}, which no export has')


def load_xml(path: str) -> ElementTree.Element:
    """The root of an XML file; ValueError if it is none, or has a document type."""
    try:
        return ElementTree.parse(path, ElementTree.XMLParser(target=_Plain())).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two of encodings
        raise ValueError(f'{printable(path)} cannot be read as XML: {error}') from None
