"""What is registered under the names of types in configs, and which arguments it takes."""
import inspect
import re
from importlib.util import find_spec
from typing import Dict, Iterator, List, Optional, Sequence, Set

import mmengine.registry
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from .near_names import similar

# whose registries are there as soon as this package is; those of other packages are imported by what is built
KNOWN_SCOPES = ('mmengine', 'mmseg', 'mmseg_unsup')
# what mmengine takes out of a config before it builds the type
BUILDERS = ('type', '_scope_', '_delete_', 'convert_to_iter_based', 'constructor', 'paramwise_cfg', 'priority')
# a call of an __init__ that ends with **kwargs; its other arguments may hold calls themselves
_HANDED_ON = re.compile(r'__init__\((?:[^()]|\([^()]*\))*\*\*\w+')


def found_types(name: str, scopes: Sequence[str] = KNOWN_SCOPES) -> Optional[list]:
    """What is registered under a name in these scopes, or in that of its prefix; None where only building it can tell:
    it is of another package, or a dotted path of Python."""
    scope, _, bare = name.rpartition('.')
    if scope and scope not in KNOWN_SCOPES:
        return None if find_spec(scope.partition('.')[0]) else []
    found = _look_up(bare, KNOWN_SCOPES[:KNOWN_SCOPES.index(scope) + 1] if scope else scopes)
    return None if not found and scope and get_object_from_string(name) is not None else found


def class_of(entry: dict, registry: Registry) -> Optional[type]:
    """The class that an entry of a config names, of whatever scope; None where nothing is registered under the name."""
    kind = entry['type']
    return registry.get(kind) if isinstance(kind, str) else kind


def registered_names() -> List[str]:
    """All names that configs may use, those of this package with their scope."""
    names: Set[str] = set()
    for node in _nodes():
        node.import_from_location()
        names.update(f'{node.scope}.{name}' if node.scope == 'mmseg_unsup' else name for name in node.module_dict)
    return sorted(names)


def similar_types(name: str) -> List[str]:
    """Registered names that are spelt nearly so, whatever their scopes."""
    full = {other.rpartition('.')[2]: other for other in registered_names()}
    return [full[other] for other in similar(name.rpartition('.')[2], full)]


def parameters_of(cls: type, strict: bool = False) -> Optional[Set[str]]:
    """Names of the arguments of a class, with those that it hands to its bases; None if it takes any.

    Args:
        strict: what takes ``**kwargs`` hands them to its bases, though its code does not show it.
    """
    from mmengine.model import BaseModule  # it imports torch, which reading a config need not
    names: Set[str] = set()
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        if base is object:
            return names
        try:
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        except (TypeError, ValueError):  # compiled code
            return None
        kinds = {parameter.kind for parameter in parameters}
        names.update(parameter.name for parameter in parameters
                     if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL))
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            return names
        if not strict and not _hands_on(base):
            return None
        if base.__bases__ == (BaseModule, ):  # in mmseg it stands for a base of a package that is not there
            return None
    return None


def _hands_on(cls: type) -> bool:
    """Whether its further arguments reach the next base, by the text of its code."""
    try:
        return bool(_HANDED_ON.search(inspect.getsource(cls.__init__).partition(':\n')[2]))
    except (OSError, TypeError):
        return False


def _look_up(bare: str, scopes: Sequence[str]) -> list:
    for imports in (False, True):  # the modules of all registries take seconds
        found = []
        for node in _nodes(scopes):
            if imports:
                node.import_from_location()
            found += [node.module_dict[bare]] if bare in node.module_dict else []
        if found:
            return found
    return []


def _nodes(scopes: Sequence[str] = KNOWN_SCOPES) -> Iterator[Registry]:
    from .. import registry  # makes its nodes, too
    roots: Dict[int, Registry] = {id(root): root for module in (mmengine.registry, registry)
                                  for root in vars(module).values() if isinstance(root, Registry) and not root.parent}
    waiting = list(roots.values())
    while waiting:
        node = waiting.pop()
        waiting += node.children.values()
        if node.scope in scopes:
            yield node
