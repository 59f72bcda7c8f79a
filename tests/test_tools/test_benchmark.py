"""tools/analysis_tools/benchmark.py on small data."""
import time

import pytest
from mmengine.fileio import load

from mmseg_unsup.datasets.feature_store import FeatureStore
from ..conftest import run_tool
from .test_train_and_test import SMALL, config

OPTIONS = [*SMALL, 'n_clusters=5', 'train_dataloader.batch_size=4', 'probe_dataloader.batch_size=4']


@pytest.mark.slow
def test_an_epoch_and_kmeans(image_folder, tmp_path):
    out = tmp_path / 'benchmark.json'
    done = run_tool('analysis_tools/benchmark.py', config('picie_fpn_camvid'), '--warmup', 0, '--images', 12, '--size',
                    '96x72', '--kmeans-points', 5000, '--kmeans-clusters', 4, 20, '--out', out, '--cfg-options',
                    *OPTIONS)
    report = load(str(out))
    phases = report['phases']
    assert set(phases) == {'load only', 'cluster', 'label', 'train', 'fresh k-means', 'evaluate'}
    assert all(phase['images'] == 12 for phase in phases.values())
    for kind in ('wall', 'cpu'):
        of_epoch = sum(phases[name][kind] for name in ('cluster', 'label', 'train'))
        assert report['epoch'][kind] == pytest.approx(of_epoch)
        assert report['evaluation'][kind] == pytest.approx(phases['fresh k-means'][kind] + phases['evaluate'][kind])
    for phase in phases.values():
        assert phase['images_per_second'] == pytest.approx(12 / phase['wall'])
        if phase['parts']:
            assert sum(part['cpu'] for part in phase['parts'].values()) == pytest.approx(phase['cpu'])
    assert phases['train']['parts']['backward']['cpu'] > 0 and phases['label']['parts']['forward']['cpu'] > 0
    assert report['peak_host_bytes'] > 2**27 and report['bytes_written'] > 2**20
    runs = report['kmeans']['runs']
    assert {'torch', 'copy', 'product'} <= set(runs['4'])
    for by_name in runs.values():
        assert by_name['torch']['points_per_second'] == pytest.approx(
            report['kmeans']['points'] * by_name['torch']['iterations'] / by_name['torch']['seconds'])
        assert 0 < by_name['torch']['iterations'] <= 20
        others = [run['inertia'] for run in by_name.values() if run['inertia'] is not None]
        assert max(others) < 1.02 * min(others)
    assert 'images/s' in done.stdout and 'million points/s' in done.stdout and 'share of clustering' in done.stdout


def test_a_missing_gpu_is_said(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    done = run_tool('analysis_tools/benchmark.py', config('picie_fpn_camvid'), '--device', 'cuda', check=False)
    assert done.returncode == 2 and done.stdout.startswith('error: --device cuda: torch finds no GPU')


@pytest.mark.parametrize('size', ['640', '640x', '16x640', '-640x480'])
def test_a_size_that_is_none(size, tool, capsys):
    with pytest.raises(SystemExit):
        tool('benchmark', 'c', f'--size={size}')
    assert f'argument --size: it must be WIDTHxHEIGHT of at least 32 pixels, such as 640x480, but it is {size!r}' in (
        capsys.readouterr().err)


def test_features_computed_stored_and_read(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(FeatureStore, 'write', lambda *args, write=FeatureStore.write: time.sleep(0.3) or write(*args))
    out = tmp_path / 'benchmark.json'
    tool('benchmark', 'mmseg_unsup::features/features_r18_folder.py', '--images', 4, '--size', '48x40', '--out', out, '--cfg-options',
         'init=None', 'size=32', 'probe_dataloader.batch_size=2', 'probe_dataloader.num_workers=0',
         'probe_dataloader.persistent_workers=False', 'model.backbone.backbone.base_channels=8',
         'model.backbone.backbone.stem_channels=8', 'model.neck.in_channels=[8,16,32,64]')
    found = load(str(out))['features']
    phases = found['phases']
    assert list(phases) == ['load', 'network alone', 'features', 'store', 'write', 'read']
    assert phases['store']['wall'] > phases['write']['wall'] > 0.3 and phases['features']['cpu'] > 0
    numbers = 8 * 8 * 8 + 4 * 4 * 16 + 2 * 2 * 32 + 64
    assert found['images'] == 4 and 0 < found['bytes'] - 4 * 2 * numbers < 2000  # shapes, and the head of the file
    assert found['read_bytes'] >= found['stored_bytes'] >= found['computed_bytes'] > 2**27
    assert 'images/s' in capsys.readouterr().out
    with pytest.raises(ValueError, match='--only features measures an mmseg_unsup.FrozenBackbone with float16=True'):
        tool('benchmark', 'mmseg_unsup::features/features_r18_folder.py', '--images', 4, '--cfg-options', 'init=None',
             'model.backbone.float16=False')
