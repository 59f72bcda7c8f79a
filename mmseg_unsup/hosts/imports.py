"""What the host packages print while they are imported, about parts that this package does not use."""
import io
import sys
import warnings
from contextlib import contextmanager, redirect_stdout

from ..import_hooks import around_import

# of the maintained fork of mmseg, which prints it where it means to log it
_NOTE = 'Could not import OneDL'


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
