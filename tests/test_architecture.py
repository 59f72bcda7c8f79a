"""Who may import whom, and how long a function may be."""
import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

from .conftest import ROOT

# rooms of the package, the lowest floor first; a room imports from lower floors only
FLOORS = [names.split() for names in (
    'version import_hooks presets', 'registry', 'utils', 'hosts clustering functional visualization', 'structures',
    'datasets', 'weights formats', 'priors', 'evaluation models', 'engine', 'apis', 'analysis converters',
    'downloads hub', 'commands',
    '__init__ __main__')]
FLOOR_OF = {room: floor for floor, names in enumerate(FLOORS) for room in names}
P90, LONGEST = 15, 40  # lines of a function without its docstring


@pytest.fixture(scope='module')
def trees() -> dict:
    """Name of a module in the package, a package with ``.__init__``, -> its syntax tree."""
    package = Path(ROOT) / 'mmseg_unsup'
    paths = (path for path in package.rglob('*.py') if '.mim' not in path.parts)
    return {'.'.join(path.relative_to(package).with_suffix('').parts): ast.parse(path.read_text()) for path in paths}


def imports_of(name: str, trees: dict) -> set:
    """Modules of the package that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(trees[name]):
        if isinstance(node, ast.Import):
            targets = [alias.name.split('.') for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ['mmseg_unsup', *name.split('.')][:-node.level] if node.level else []
            base = [*above, *(node.module.split('.') if node.module else ())]
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for top, *parts in targets:
            if top == 'mmseg_unsup':
                whole, package = '.'.join(parts), '.'.join(parts[:-1])  # the last part may be a name in a module
                options = whole, f'{whole}.__init__', package, f'{package}.__init__'.lstrip('.')
                found.add(next(option for option in options if option in trees))
    return found


def test_rooms_import_from_lower_floors_only(trees):
    assert {name.split('.')[0] for name in trees} == FLOOR_OF.keys()
    upward = [f'{name} imports {other}' for name in trees for other in imports_of(name, trees)
              if (here := name.split('.')[0]) != (there := other.split('.')[0]) and FLOOR_OF[there] >= FLOOR_OF[here]]
    assert not upward


def test_modules_import_in_no_circle(trees):
    try:
        TopologicalSorter({name: imports_of(name, trees) for name in trees}).prepare()
    except CycleError as error:
        pytest.fail(' -> '.join(error.args[1]))


def test_functions_fit_a_screen(trees):
    lines = {f'{name}.{node.name}:{node.lineno}': body_lines(node) for name, tree in trees.items()
             for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert np.percentile([*lines.values()], 90) <= P90
    assert not [name for name, count in lines.items() if count > LONGEST]


def body_lines(node: ast.FunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
