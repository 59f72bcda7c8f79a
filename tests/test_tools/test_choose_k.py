"""mmseg-unsup choose-k on a folder of images and on features made here."""
import ast
import itertools
import re

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.fileio import load
from sklearn.metrics import adjusted_rand_score, silhouette_score

from mmseg_unsup.analysis import choose_k
from mmseg_unsup.engine.checkpoint_files import existing_checkpoint
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.config import load_config, merge_options
from ..conftest import ROOT
from ..test_engine.tiny import tiny_config
from .test_train_and_test import SMALL, config

SETTINGS = dict(n_iter=20, n_init=10)


def folder_options(root) -> list:
    return [f'data_root={root}', 'n_clusters=3', *SMALL]


def write_checkpoint(cfg, path) -> str:
    """Random weights: features are what they are."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


@pytest.fixture
def folder_checkpoint(image_folder, tmp_path):
    cfg = load_config(config('picie_fpn_folder'))
    options = dict(option.split('=') for option in folder_options(image_folder) if option.startswith('model.'))
    merge_options(cfg, {'n_clusters': 3, **{key: ast.literal_eval(value) for key, value in options.items()}})
    return write_checkpoint(cfg, tmp_path / 'random.pth')


def test_a_folder_without_labels(image_folder, folder_checkpoint, tmp_path, tool, capsys):
    out = tmp_path / 'out'
    tool('choose-k', config('picie_fpn_folder'), folder_checkpoint, '--k', 4, 2, 8, '--seeds', 2, '--cells', 200,
         '--out', out, '--cfg-options', *folder_options(image_folder))
    printed = capsys.readouterr().out
    report = load(str(out / 'choose_k.json'))
    assert [result['k'] for result in report['results']] == [2, 4, 8]
    assert (report['images'], report['cells'], report['seeds']) == (8, 200, 2)
    inertias = [result['inertia'] for result in report['results']]
    assert inertias == sorted(inertias, reverse=True)
    gains = [result['relative_gain'] for result in report['results']]
    assert gains == [None, pytest.approx(1 - inertias[1] / inertias[0]), pytest.approx(1 - inertias[2] / inertias[1])]
    assert report['advice'] in printed and report['advised_k'] in (2, 4, 8)
    assert cv2.imread(str(out / 'choose_k.png')).std() > 10
    with pytest.raises(ValueError, match='k=201 is more than the 200 sampled cells: give a smaller k, or sample more'):
        tool('choose-k', config('picie_fpn_folder'), folder_checkpoint, '--k', 2, 201, '--cells', 200, '--cfg-options',
             *folder_options(image_folder))


def test_arguments_that_cannot_work(tmp_path):
    with pytest.raises(ValueError, match='--k 1 cannot tell cells apart: give numbers of clusters from 2 on'):
        choose_k.check_arguments([5, 1], 3)
    with pytest.raises(ValueError, match='--seeds 1: stability compares starts of k-means, give at least 2'):
        choose_k.check_arguments([5], 1)
    assert choose_k.check_arguments([20, 5, 20], 2) == [5, 20]
    with pytest.raises(FileNotFoundError, match="there is no checkpoint '.*none.pth': give the path of a file that"):
        existing_checkpoint(str(tmp_path / 'none.pth'))


def blobs(n_blobs: int, n_rows: int = 600):
    """A sample of directions around ``n_blobs`` axes; the second view is noisier."""
    rng = np.random.default_rng(0)
    axes = np.eye(8)[rng.integers(n_blobs, size=n_rows)]
    first, *views = (F.normalize(torch.from_numpy(axes + noise * rng.standard_normal(axes.shape)).float(), dim=1)
                     for noise in (0.1, 0.1, 0.15))
    return choose_k.FeatureSample(first, tuple(views), 1)


def test_scores_equal_scikit_learn():
    sample, k = blobs(4), 6
    result, = choose_k.measure(sample, [k], 3, SETTINGS, silhouette_cells=600)
    fits = [choose_k.fit_kmeans(sample.rows, k, SETTINGS, seed) for seed in range(3)]
    distances = [torch.cdist(sample.rows.double(), fit.cluster_centers_.double()) for fit in fits]
    labels = [of_fit.argmin(1).numpy() for of_fit in distances]
    pairs = [adjusted_rand_score(a, b) for a, b in itertools.combinations(labels, 2)]
    assert result['start_ARI'] == pytest.approx(np.mean(pairs)) and min(pairs) < 1
    assert result['start_ARI_std'] == pytest.approx(np.std(pairs, ddof=1))
    first, second = sample.views
    across = [adjusted_rand_score(fit.predict(first).numpy(), fit.predict(second).numpy()) for fit in fits]
    assert result['view_ARI'] == pytest.approx(np.mean(across))
    assert result['stability'] == min(result['start_ARI'], result['view_ARI'])
    silhouettes = [silhouette_score(sample.rows.numpy(), of_fit) for of_fit in labels]
    assert result['silhouette'] == pytest.approx(np.mean(silhouettes), abs=1e-5)
    losses = [float(of_fit.min(1).values.square().mean()) for of_fit in distances]
    assert result['inertia'] == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize('n_blobs', [3, 5])
def test_the_number_of_blobs_is_advised(n_blobs):
    results = choose_k.measure(blobs(n_blobs), [2, 3, 5, 8], 3, SETTINGS, silhouette_cells=300)
    assert choose_k.advise(results)[0] == n_blobs
    assert max(results, key=lambda result: result['silhouette'])['k'] == n_blobs


def result(k: int, start: float, across: float) -> dict:
    return dict(k=k, start_ARI=start, view_ARI=across, stability=min(start, across))


@pytest.mark.parametrize('results, k, sentence', [
    ([result(5, 1., .9), result(10, .95, .86), result(20, 1., .8)], 10,
     r'^Take k = 10: the largest k of the list whose stability is within 0.05 of the best \(ARI 0.95 across starts, '
     r'0.86 across views\)\.$'),
    ([result(5, .9, .9), result(10, .9, .9)], 10, 'the largest one tried, so try larger ones too'),
    ([result(5, .9, .8), result(10, .9, .7)], 5, 'the smallest one tried, and stability tends to fall with k: weigh'),
    ([result(5, .9, .9)], 5, r'Take k = 5.*views\)\.$'),
    ([result(5, .9, .4), result(10, .3, .9)], 5, 'No k of the list is reproducible .the best stability is 0.40, below'),
])
def test_the_advice_follows_the_rule(results, k, sentence):
    advised, advice = choose_k.advise(results)
    assert advised == k and re.search(sentence, advice)


def test_more_clusters_than_255():
    rows = F.normalize(torch.randn(600, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    scored, = choose_k.measure(choose_k.FeatureSample(rows, (rows, rows), 1), [300], 2, dict(n_iter=2), 300)
    assert scored['view_ARI'] == scored['view_matched'] == 1


@pytest.mark.parametrize('method', ['picie/picie_fpn', 'mdc/mdc_fpn', 'iic/iic_fpn', 'features/features_r18'])
def test_samples_of_all_methods(method, image_folder, tmp_path):
    """Also of a method that trains on one view, and where nothing trains; the same cells each time."""
    cfg = load_config(f'{ROOT}/configs/{method}_camvid.py')
    small = tiny_config(image_folder, tmp_path)
    backbone = small.model.backbone
    if cfg.model.backbone.type == 'mmseg_unsup.FrozenBackbone':
        backbone = dict(type='mmseg_unsup.FrozenBackbone', backbone=backbone)
    merge_options(cfg, {'model.backbone': backbone, 'model.neck.in_channels': [8, 16, 32, 64],
                        'model.neck.out_channels': 16, 'model.decode_head.in_channels': 16})
    for key in ('train_dataloader', 'probe_dataloader') if cfg.train_dataloader else ('probe_dataloader', ):
        cfg[key].dataset.dataset = small[key].dataset.dataset
        cfg[key].update(batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False)
    checkpoint = write_checkpoint(cfg, tmp_path / 'random.pth')
    sample = choose_k.sample_features(cfg, checkpoint, n_images=5, n_cells=100)
    assert sample.n_images == 5 and [len(rows) for rows in (sample.rows, *sample.views)] == [100] * 3
    for rows in (sample.rows, *sample.views):
        assert rows.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    first, second = sample.views
    assert not torch.equal(first, second)
    # the same places: more alike than cells that do not belong together
    assert (first * second).sum(1).mean() > (first * second.roll(50, 0)).sum(1).mean()
    again = choose_k.sample_features(cfg, checkpoint, n_images=5, n_cells=100)
    other = choose_k.sample_features(cfg, checkpoint, n_images=5, n_cells=100, seed=1)
    assert torch.equal(sample.rows, again.rows) and torch.equal(first, again.views[0])
    assert not torch.equal(sample.rows, other.rows)
