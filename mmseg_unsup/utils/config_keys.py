"""Dotted keys of configs: names of dicts, numbers of lists, types of their elements, and wildcards."""
from fnmatch import fnmatchcase
from typing import Any, Iterator, List, Optional, Tuple, Union

from mmengine.config import Config


def walk(node: Any, key: str = '') -> Iterator[Tuple[str, Any]]:
    """Yield ``(dotted key, value)`` of a part of a config, then of all that is in it, with indices for list items.

    A container may be changed when it comes, before what is in it does.
    """
    yield key, node
    for value, name, _ in _children(node):
        yield from walk(value, f'{key}.{name}' if key else str(name))


def flatten_config(cfg: Union[dict, Config]) -> Iterator[Tuple[str, Any]]:
    """Yield ``(dotted key, value)`` of every leaf; an empty container is a leaf."""
    return ((key, value) for key, value in walk(cfg) if not any(_children(value)))


def find_keys(cfg: Config, key: str) -> Iterator[Tuple[str, Optional[Union[dict, list]], Union[str, int]]]:
    """Find what a dotted key stands for in a config: ``(key, node, leaf)`` with ``node[leaf]`` its value, and without
    wildcards in ``key``. Where a part above the leaf is None, so is ``node``.

    In ``'train_dataloader.**.GaussianBlur.sigma'``, ``**`` stands for any number of levels and a type, without its
    scope, for those elements of a list that have it; ``*`` for any name or part of one, as in ``'*_evaluator'``.
    """
    return iter({place[0]: place for place in _find(cfg, key.split('.'), '')}.values())


def _find(node, names: List[str], path: str) -> Iterator[tuple]:
    name, rest = names[0], names[1:]
    if name == '**':
        yield from _find(node, rest, path)
    for child, leaf, aliases in _children(node):
        if name == '**':
            yield from _find(child, names, f'{path}{leaf}.')
        elif any(fnmatchcase(alias, name) if '*' in name else alias == name for alias in aliases):
            if not rest:
                yield f'{path}{leaf}', node, leaf
            elif child is None:
                yield f'{path}{leaf}', None, leaf
            else:
                yield from _find(child, rest, f'{path}{leaf}.')


def _children(node) -> Iterator[tuple]:
    """Value, name or number, and the names that it goes by, of what is in a node."""
    if isinstance(node, (dict, Config)):
        yield from ((value, name, (name, )) for name, value in node.items())
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            kind = value.get('type') if isinstance(value, dict) else None
            kinds = (kind.rpartition('.')[2], ) if isinstance(kind, str) else ()
            yield value, number, (str(number), *kinds)


def concrete_keys(cfg: Config, key: str) -> List[str]:
    """The keys, without types and wildcards, that an option stands for; the last name of one without wildcards may be
    new. The key as it is where nothing of that kind exists."""
    if '*' in key:
        return [place for place, node, _ in find_keys(cfg, key) if node is not None] or [key]
    parents, _, leaf = key.rpartition('.')
    found = [place for place, node, _ in find_keys(cfg, parents) if node is not None] if parents else []
    return [f'{place}.{leaf}' for place in found] or [key]
