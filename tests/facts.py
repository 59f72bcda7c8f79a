"""Arrays that the official code of the methods on frozen transformers gave, see each test for which and how."""
import os
from pathlib import Path
from typing import Dict

import numpy as np
import pytest

from .conftest import ROOT

FOLDER = Path(os.environ.get('MMSEG_UNSUP_FACTS', Path(ROOT).parent / 'shared' / 'facts' / 'vit'))


def facts(name: str) -> Dict[str, np.ndarray]:
    """The arrays of a file by their names; a test that asks for a file which is not there is skipped."""
    path = FOLDER / f'{name}.npz'
    if not path.is_file():
        pytest.skip(f'{path} is not there: set MMSEG_UNSUP_FACTS to the folder of the arrays')
    with np.load(path, allow_pickle=False) as file:
        return dict(file)
