"""Tests that need a GPU: `make test-gpu`. TEST_DEVICE=cpu runs them on a CPU, which says that they run."""
import os

import pytest
import torch

from mmseg_unsup.engine.runner import DETERMINISTIC_PRODUCTS

os.environ.setdefault(*DETERMINISTIC_PRODUCTS)
DEVICE = os.environ.get('TEST_DEVICE', 'cuda')


@pytest.fixture(autouse=True)
def device():
    """Name of the device; skips the test where there is none."""
    if DEVICE == 'cuda' and not torch.cuda.is_available():
        pytest.skip('torch finds no GPU')
    return DEVICE


@pytest.fixture(autouse=True)
def full_float32():
    """Products and convolutions without TF32."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    yield
    for backend, allowed in zip(backends, before):
        backend.allow_tf32 = allowed
