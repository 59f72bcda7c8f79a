"""What importing other packages does: it prints nothing of parts that are not used; torchvision is whole or absent.

mmengine imports torchvision to list its version, and stops every run where that fails in another way than by absence.
"""
import io
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from typing import Optional

from ..import_hooks import around_import

# of the maintained fork of mmseg, which prints it where it means to log it
_NOTE = 'Could not import OneDL'
_NAME = 'torchvision'
# why it cannot be imported, once that was tried
_reason: Optional[str] = None


def quieten_imports() -> None:
    """Importing mmseg and mmcv says nothing of optional parts that are absent."""
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``', UserWarning)
    for name in ('mmseg.datasets', 'mmseg.datasets.transforms'):
        around_import(name, _without_note)


@contextmanager
def _without_note():
    """All that is printed in the block, but for that line."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        sys.stdout.writelines(line for line in printed.getvalue().splitlines(True) if line.strip() != _NOTE)


def survive_misfit_torchvision() -> None:
    """Have ``import torchvision`` work or raise ModuleNotFoundError from now on, with one warning if the installed one
    does not belong to this torch; this alone imports nothing."""
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
    import torch
    warnings.warn(f'the installed torchvision cannot be imported beside torch {torch.__version__} ({reason}) and '
                  'counts as absent; only backbones of mmpretrain need it: uninstall it, or install one that was built '
                  'for this torch', stacklevel=2)
