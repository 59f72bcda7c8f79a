"""Code that runs around the first import of another package, so that this one need not import it by itself."""
import sys
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Callable, ContextManager


def around_import(name: str, context: Callable[[], ContextManager]) -> None:
    """From now on the module ``name`` is executed inside ``context()``; this alone imports nothing.

    A module that is there already is left alone.
    """
    if not any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(name, context))


def after_import(name: str, action: Callable[[], None]) -> None:
    """Call ``action`` once ``name`` is imported: now, or as soon as somebody imports it."""

    @contextmanager
    def then_act():
        yield
        action()

    if name in sys.modules:
        action()
    else:
        around_import(name, then_act)


class _Finder(MetaPathFinder):
    """Finds one module as the others do, and wraps its execution."""

    def __init__(self, name: str, context: Callable[[], ContextManager]) -> None:
        self.name, self.context = name, context

    def find_spec(self, fullname: str, path=None, target=None):
        if fullname != self.name:
            return None
        others = (finder for finder in sys.meta_path if not isinstance(finder, _Finder))
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and hasattr(spec.loader, 'exec_module'):
            execute = spec.loader.exec_module

            def exec_module(module) -> None:
                with self.context():
                    execute(module)

            spec.loader.exec_module = exec_module
        return spec
