"""Randomness as a pure function of a key, so that workers, ranks, batch sizes and resumes draw the same numbers."""
import random
from contextlib import contextmanager

import numpy as np
import torch


def keyed_generator(*key: int) -> np.random.Generator:
    """An independent generator for a tuple of non-negative integers such as ``(seed, epoch, sample_idx)``.

    The integers are mixed by :class:`numpy.random.SeedSequence`, never added: (0, 1) and (1, 0) differ.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


@contextmanager
def keyed_global_rng(*key: int):
    """Seed the global generators of ``random``, ``numpy`` and ``torch`` (CPU) inside the block, restore them after.

    Transforms of mmcv and mmseg, and those that users write, draw from the global generators. Keying those around the
    whole pipeline makes any of them reproducible.
    """
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(int(words[0]) << 32 | int(words[1]))
    np.random.seed(words[2])
    # the default generator only: `torch.manual_seed` would also reseed CUDA, which a data worker must not touch
    torch.default_generator.manual_seed(int(words[3]))
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
