"""Loaders have a worker for each core of the process."""
import os

import pytest

from mmseg_unsup import presets


@pytest.mark.parametrize('affinity, quota, processes, cores, workers', [
    (1, 'max 100000', None, 1, 0), (2, 'max 100000', None, 2, 2), (64, 'max 100000', '4', 16, 16),
    (64, '800000 100000', None, 8, 8), (64, '800000 100000', '4', 2, 2), (8, '50000 100000', None, 1, 0),
    (2, '800000 100000', '8', 1, 0), (96, None, None, 96, 16), (4, 'max 100000', 'x', 4, 4)])
def test_cores_and_workers(monkeypatch, tmp_path, affinity, quota, processes, cores, workers):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: range(affinity), raising=False)
    monkeypatch.setattr(presets, '_CGROUP', str(tmp_path))
    if quota:
        (tmp_path / 'cpu.max').write_text(f'{quota}\n')
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    if processes:
        monkeypatch.setenv('LOCAL_WORLD_SIZE', processes)
    assert (presets.n_cores(), presets.n_data_workers()) == (cores, workers)
    loader = presets.loader(dict(), 4)
    assert (loader['num_workers'], loader['persistent_workers']) == (workers, workers > 0)
    assert presets.loader(dict(), 4, 3)['num_workers'] == 3
