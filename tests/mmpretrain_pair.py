"""MMPretrain and torchvision for the tests that need them; all others run without, as a user of the default extra."""
import os.path as osp
import sys
import sysconfig
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Dict, Iterator, List

import pytest
import torch

# `make install` puts them here, where nothing else looks
FOLDER = sysconfig.get_path('purelib', vars=dict(base=osp.join(sys.prefix, 'mmpretrain-for-tests')))
_NAMES = ('torchvision', 'mmpretrain', 'timm')
_modules: Dict[str, object] = {}  # imported once a process: torch takes the names of operators once
_operators: List[torch.library.Library] = []  # their definitions live as long as these do


@contextmanager
def importable_pair() -> Iterator[None]:
    """Inside the block torchvision and mmpretrain can be imported, and after it are as if they had never been.

    Skips the test where they are not installed.
    """
    sys.path.append(FOLDER)
    sys.modules.update(_modules)
    try:
        for name in ('mmpretrain', 'torchvision'):
            if find_spec(name) is None:
                pytest.skip(f'{name} is not installed: make install')
        _complete_torchvision()
        yield
    finally:
        sys.path.remove(FOLDER)
        for name in [name for name in sys.modules if name.split('.')[0] in _NAMES]:
            _modules[name] = sys.modules.pop(name)


def _complete_torchvision() -> None:
    """Beside a torch without CUDA the published torchvision for Linux does not import: two operators are missing, of a
    CUDA library that it cannot load. With their names defined it does; the operators themselves still raise its error.
    """
    if 'torchvision' in sys.modules or _operators:
        return
    try:
        torch.ops.load_library(osp.join(find_spec('torchvision').submodule_search_locations[0], '_C.so'))
    except OSError:
        library = torch.library.Library('torchvision', 'FRAGMENT')
        for name in ('nms', 'qnms'):
            library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        _operators.append(library)


@pytest.fixture(scope='module')
def mmpretrain_pair() -> Iterator[None]:
    """For all tests of a module."""
    with importable_pair():
        yield
