"""A torchvision that cannot be imported beside the installed torch counts as absent, with one warning.

mmengine imports torchvision to list its version, and stops every run where that fails in another way than by absence.
"""
import sys
import warnings
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import Optional

import torch

_NAME = 'torchvision'


def survive_misfit_torchvision() -> None:
    """From now on ``import torchvision`` works or raises ModuleNotFoundError; this alone imports nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Loader(SourceFileLoader):
    """Of the package itself."""
    reason: Optional[str] = None  # why it cannot be imported, once that was tried

    def exec_module(self, module) -> None:
        if self.reason is None:
            try:
                return super().exec_module(module)
            except Exception as error:  # a library of another torch can fail in any way
                type(self).reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            for name in [name for name in sys.modules if name.startswith(f'{_NAME}.')]:
                del sys.modules[name]
            _warn(self.reason)
        raise ModuleNotFoundError(f'{_NAME} cannot be imported: {self.reason}', name=_NAME)


class _Finder(MetaPathFinder):

    def find_spec(self, fullname: str, path=None, target=None):
        spec = PathFinder.find_spec(fullname, path, target) if fullname == _NAME else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def _warn(reason: str) -> None:
    warnings.warn(f'the installed torchvision cannot be imported beside torch {torch.__version__} ({reason}) and '
                  'counts as absent; only backbones of mmpretrain need it: uninstall it, or install one that was built '
                  'for this torch')
