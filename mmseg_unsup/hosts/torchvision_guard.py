"""A torchvision that cannot be imported beside the installed torch counts as absent, with one warning.

mmengine imports torchvision to list its version, and stops every run where that fails in another way than by absence.
"""
import sys
import warnings
from contextlib import contextmanager
from typing import Optional

import torch

from ..import_hooks import around_import

_NAME = 'torchvision'
# why it cannot be imported, once that was tried
_reason: Optional[str] = None


def survive_misfit_torchvision() -> None:
    """Have ``import torchvision`` work or raise ModuleNotFoundError from now on; this alone imports nothing."""
    around_import(_NAME, _absent_if_misfit)


@contextmanager
def _absent_if_misfit():
    global _reason
    if _reason is None:
        try:
            yield
            return
        except Exception as error:  # a library of another torch can fail in any way
            _reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        for name in [name for name in sys.modules if name.startswith(f'{_NAME}.')]:
            del sys.modules[name]
        _warn(_reason)
    raise ModuleNotFoundError(f'{_NAME} cannot be imported: {_reason}', name=_NAME)


def _warn(reason: str) -> None:
    warnings.warn(f'the installed torchvision cannot be imported beside torch {torch.__version__} ({reason}) and '
                  'counts as absent; only backbones of mmpretrain need it: uninstall it, or install one that was built '
                  'for this torch')
