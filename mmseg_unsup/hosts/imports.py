"""What the host packages print while they are imported, about parts that this package does not use."""
import gc
import io
import sys
import warnings
from contextlib import contextmanager, redirect_stdout

from ..import_hooks import after_import, around_import

# of the maintained fork of mmseg, which prints it where it means to log it
_NOTE = 'Could not import OneDL'


def quieten_imports() -> None:
    """Importing mmseg and mmcv says nothing of optional parts that are absent."""
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``', UserWarning)
    for name in ('mmseg.datasets', 'mmseg.datasets.transforms'):
        around_import(name, _without_note)


def freeze_imports() -> None:
    """What host packages define is left out of collections of garbage: mmengine makes one for every data set, a quarter
    of a second each."""
    for name in ('mmseg.models', 'mmseg.engine', 'torch._dynamo'):
        after_import(name, gc.freeze)


@contextmanager
def _without_note():
    """All that is printed in the block, but for that line."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        sys.stdout.writelines(line for line in printed.getvalue().splitlines(True) if line.strip() != _NOTE)
