"""The notebooks run from the first cell to the last, as a stranger opens them, and are kept without what they print."""
import glob
import os.path as osp
import shutil

import nbformat
import pytest
from nbclient import NotebookClient

from ..conftest import ROOT

NOTEBOOKS = {osp.basename(path): path for path in glob.glob(osp.join(ROOT, 'docs', 'notebooks', '*.ipynb'))}


@pytest.fixture(params=NOTEBOOKS)
def notebook(request, tmp_path, monkeypatch):
    """A copy in a folder of its own, which is where it runs."""
    folder = tmp_path / 'My Notebooks'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return nbformat.read(shutil.copy(NOTEBOOKS[request.param], folder), nbformat.NO_CONVERT)


def test_a_notebook_is_valid_and_empty(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    assert all(cell.source.count('\n') < 25 for cell in code)


@pytest.mark.long
def test_a_notebook_runs(notebook):
    NotebookClient(notebook, timeout=500, kernel_name='python3').execute()
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    printed = ''.join(output.get('text', '') for cell in code for output in cell.outputs)
    shown = [kind for cell in code for output in cell.outputs for kind in output.get('data', ())]
    assert 'Traceback' not in printed and 'WARNING' not in printed
    assert {'image/png', 'image/jpeg'} & {*shown}
