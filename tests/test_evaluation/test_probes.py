"""Probes against slow calculations of the same; features are drawn, no model takes part."""
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from mmseg_unsup.clustering import neighbours
from mmseg_unsup.evaluation import DenseKNNProbe, ClusterIoUMetric, KMeansProbe, LinearProbe
from mmseg_unsup.evaluation import RepeatedIoUMetric, SegmentRetrievalProbe
from mmseg_unsup.evaluation.functional import match_clusters
from mmseg_unsup.evaluation.probes import labels_on_grid
from mmseg_unsup.functional import dense_crf
from mmseg_unsup.functional.dense_crf import DenseCRF
from mmseg_unsup.evaluation.probes.protocol import check_datasets, check_metrics
from mmseg_unsup.functional import connected_segments
from mmseg_unsup.utils import memory
from ..forks import spawn

N_IMAGES, N_CLASSES, N_CHANNELS, GRID = 13, 4, 8, 6


def scene(spread=0.5, seed=0, n_images=N_IMAGES):
    """Unit features (N, C, h, w) around a direction per class, and their labels with some cells ignored."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(N_CLASSES, N_CHANNELS, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(N_CLASSES, (n_images, GRID, GRID), generator=generator)
    noise = spread * torch.randn(n_images, GRID, GRID, N_CHANNELS, generator=generator)
    feats = F.normalize(F.normalize(means, dim=1)[labels] + noise, dim=-1).permute(0, 3, 1, 2)
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
    return feats, labels


def segments_of(feats):
    """Connected cells of one sign of the first channel."""
    return connected_segments((feats[:, 0] > 0).long())


def fit(probe, feats, labels, positions=None, batch_size=4, **kwargs):
    probe.begin(N_CHANNELS, N_CLASSES, N_IMAGES, seed=3, device=torch.device('cpu'), **kwargs)
    positions = list(range(len(feats))) if positions is None else positions
    for start in range(0, len(positions), batch_size):
        chosen = positions[start:start + batch_size]
        segments = dict(segments=segments_of(feats[chosen])) if probe.needs_segments else {}
        probe.add(chosen, feats[chosen], labels[chosen], **segments)
    probe.finish()
    return probe


def rows_of(feats):
    return feats.permute(0, 2, 3, 1).flatten(0, 2)


def labelled_rows(feats, labels):
    valid = labels.flatten() != 255
    return rows_of(feats)[valid], labels.flatten()[valid]


@pytest.mark.parametrize('spread', [0.1, 0.5])  # separable; with errors that no linear classifier avoids
def test_linear_equals_logistic_regression(spread):
    feats, labels = scene(spread)
    probe = fit(LinearProbe(max_cells=10**6, epochs=200, batch_size=64), feats, labels)
    rows, targets = labelled_rows(feats, labels)
    reference = LogisticRegression(C=1e6, max_iter=2000).fit(rows.numpy(), targets.numpy())
    test_feats, test_labels = scene(spread, seed=1)
    test_rows, test_targets = labelled_rows(test_feats, test_labels)
    predicted = probe.scores(test_feats).argmax(1).flatten()[test_labels.flatten() != 255]
    expected = torch.from_numpy(reference.predict(test_rows.numpy()))
    assert (predicted == expected).float().mean() > 0.98
    accuracy = float((predicted == test_targets).float().mean())
    assert accuracy == pytest.approx(reference.score(test_rows.numpy(), test_targets.numpy()), abs=0.01)
    assert accuracy > (0.999 if spread == 0.1 else 0.6)


def test_stages_of_a_linear_probe_are_points_of_one_training():
    feats, labels = scene()
    options = dict(max_cells=10**6, batch_size=64)
    whole, staged = (fit(LinearProbe(epochs=6, stages=stages, **options), feats, labels) for stages in (1, 3))
    assert staged.set_names == ['linear_1', 'linear_2', 'linear_3'] and whole.set_names == ['linear']
    assert torch.equal(staged.scores(feats, 2), whole.scores(feats))
    losses = [float(F.cross_entropy(staged.scores(feats, i), labels, ignore_index=255)) for i in range(3)]
    assert losses[0] > losses[1] > losses[2]
    with pytest.raises(ValueError, match="stages of the probe 'linear' must be from 1 to epochs=6, but it is 7"):
        LinearProbe(epochs=6, stages=7)


def pixels(labels, scale=2):
    """Label maps of ``scale`` times the sides, some of whose pixels differ from the rest of their cell."""
    maps = labels.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    maps[:, ::3, ::scale] = torch.where(maps[:, ::3, ::scale] == 255, 255, 1)
    return maps


@pytest.mark.parametrize('block_bytes, backend', [(None, 'auto'), (1, 'auto'), (None, 'faiss')])
def test_knn_equals_brute_force(block_bytes, backend, monkeypatch):
    monkeypatch.setattr(neighbours, 'BLOCK_ROWS', 100)
    if backend == 'faiss':
        pytest.importorskip('faiss')
    feats, labels = scene()
    probe = DenseKNNProbe(k=7, max_cells=10**6, temperature=0.1, block_bytes=block_bytes, backend=backend)
    fit(probe, feats, pixels(labels))
    rows, targets = brute_force_memory(feats, pixels(labels))
    test_feats, _ = scene(seed=1, n_images=2)
    scores = probe.scores(test_feats)
    assert scores.shape == (2, N_CLASSES, GRID, GRID) and len(probe.memory) == len(rows) > 100
    for row, votes in zip(rows_of(test_feats).numpy(), rows_of(scores).numpy()):
        similarity = rows @ row
        nearest = np.argsort(-similarity)[:7]
        weights = np.exp(similarity[nearest] / 0.1)
        np.testing.assert_allclose(votes, weights @ targets[nearest] / weights.sum(), atol=1e-5)
    torch.testing.assert_close(probe.scores(3 * test_feats), scores)  # cosines, whatever the length of a query
    assert torch.equal(probe.scores(test_feats[1:]), scores[1:])


def brute_force_memory(feats, maps):
    """All cells with a labelled pixel, and the share of each class among these."""
    rows, targets = [], []
    for of_image, of_map in zip(feats.permute(0, 2, 3, 1).numpy(), maps.numpy()):
        for y, x in np.ndindex(GRID, GRID):
            cell = of_map[2 * y:2 * y + 2, 2 * x:2 * x + 2]
            if (cell != 255).any():
                rows.append(of_image[y, x])
                targets.append([(cell == k).sum() / (cell != 255).sum() for k in range(N_CLASSES)])
    return np.array(rows), np.array(targets)


def brute_force_segments(feats, segments):
    """Per image and segment, its cells and its unit descriptor."""
    for of_image, ids in zip(feats.permute(0, 2, 3, 1).double().numpy(), segments.numpy()):
        yield [(ids == i, (of_image[ids == i].sum(0) / np.linalg.norm(of_image[ids == i].sum(0))))
               for i in range(ids.max() + 1)]


@pytest.mark.parametrize('background, k, max_segments', [(None, 1, 10**6), (0, 1, 10**6), (None, 3, 2)])
def test_retrieval_equals_brute_force(background, k, max_segments):
    feats, labels = scene()
    probe = SegmentRetrievalProbe(k=k, background=background, max_segments=max_segments, temperature=0.1)
    fit(probe, feats, labels)
    bank, classes = [], []
    for of_image, image_labels in zip(brute_force_segments(feats, segments_of(feats)), labels.numpy()):
        of_bank = []
        for cells, descriptor in of_image:
            counts = np.bincount(image_labels[cells & (image_labels != 255)], minlength=N_CLASSES)
            if background is not None:
                counts[background] = 0
            if counts.any():
                of_bank.append((cells.sum(), descriptor, counts.argmax()))
        for _, descriptor, label in sorted(of_bank, key=lambda entry: -entry[0])[:max_segments]:
            bank.append(descriptor)
            classes.append(label)
    assert len(probe.memory) == len(bank) > 20 and probe.memory_labels.argmax(1).tolist() == classes
    test_feats, _ = scene(seed=1, n_images=2)
    segments = segments_of(test_feats)
    segments[:, 0] = -1  # the first row of cells belongs to no segment
    ids = connected_segments(segments)
    scores = probe.scores(test_feats, segments=ids).numpy()
    for of_image, image_ids, of_scores in zip(brute_force_segments(test_feats, ids), ids.numpy(), scores):
        for cells, descriptor in of_image:
            similarity = np.array(bank) @ descriptor
            nearest = np.argsort(-similarity)[:k]
            weights = np.exp(similarity[nearest] / 0.1)
            expected = np.bincount(np.array(classes)[nearest], weights, minlength=N_CLASSES) / weights.sum()
            np.testing.assert_allclose(of_scores[:, cells].T, np.tile(expected, (cells.sum(), 1)), atol=1e-5)
        assert (of_scores[:, image_ids < 0].argmax(0) == (background or 0)).all() and (image_ids < 0).sum() == GRID


def test_retrieval_refuses_what_it_cannot_use():
    feats, labels = scene()
    probe = SegmentRetrievalProbe()
    probe.begin(N_CHANNELS, N_CLASSES, N_IMAGES, 0, torch.device('cpu'))
    with pytest.raises(ValueError, match="the probe 'retrieval' needs segments, but got none"):
        probe.add([0], feats[:1], labels[:1])
    with pytest.raises(ValueError, match='k=9999 neighbours, but the images gave [0-9]+ labelled segments'):
        fit(SegmentRetrievalProbe(k=9999), feats, labels)
    with pytest.raises(ValueError, match="'retrieval' found no labelled segment in 13 images"):
        fit(SegmentRetrievalProbe(), feats, torch.full_like(labels, 255))
    with pytest.raises(ValueError, match='label 9 is out of range for the probe'):
        fit(SegmentRetrievalProbe(), feats, torch.full_like(labels, 9))
    with pytest.raises(ValueError, match='background of the probe .* is 4, but the classes are 0..3'):
        fit(SegmentRetrievalProbe(background=4), feats, labels)


def test_connected_segments():
    clusters = torch.tensor([[[0, 0, 1], [1, 0, -1], [1, 1, -1]], [[2, 2, 2], [2, 2, 2], [2, 2, 2]]])
    segments = connected_segments(clusters)
    assert segments[0].tolist() == [[0, 0, 1], [2, 0, -1], [2, 2, -1]] and not segments[1].any()


def test_kmeans_scores_the_nearest_centre_of_every_fit():
    feats, labels = scene()
    probe = KMeansProbe(n_clusters=5, repeats=3, init_images=6, update_images=2, kmeans=dict(n_iter=2))
    fit(probe, feats, labels)
    assert probe.set_names == ['kmeans_1', 'kmeans_2', 'kmeans_3'] and probe.n_outputs(N_CLASSES) == 5
    for r, model in enumerate(probe.models):
        nearest = torch.cdist(rows_of(feats), model.cluster_centers_).argmin(1)
        assert torch.equal(probe.scores(feats, r).argmax(1).flatten(), nearest)
    first, second, _ = (model.cluster_centers_ for model in probe.models)
    assert not torch.equal(first, second)
    assert KMeansProbe(name='x').set_names == ['x'] and KMeansProbe().n_outputs(9) == 9


@pytest.mark.parametrize('max_cells', [5, 50])
def test_the_memory_is_bounded_and_labelled(max_cells):
    feats, labels = scene()
    probe = fit(DenseKNNProbe(k=1, max_cells=max_cells), feats, labels)
    assert len(probe.memory) == (5 if max_cells == 5 else N_IMAGES * 3)
    rows, targets = labelled_rows(feats, labels)
    for row, shares in zip(probe.memory, probe.memory_labels):
        match = (rows == row).all(1)
        assert match.sum() == 1 and shares[targets[match]] == shares.sum() == 1
    again = fit(DenseKNNProbe(k=1, max_cells=max_cells), feats, labels, batch_size=1)
    assert torch.equal(again.memory, probe.memory)


def test_void_as_a_class_is_the_released_form():
    feats, labels = scene()
    probes = [fit(DenseKNNProbe(max_cells=10**6, void_class=of_void), feats, labels) for of_void in (None, 0)]
    n_void = int((labels == 255).sum())
    assert [len(probe.memory) for probe in probes] == [labels.numel() - n_void, labels.numel()] and n_void
    released = [fit(DenseKNNProbe(max_cells=10**6), feats, torch.where(labels == 255, 0, labels))]
    assert torch.equal(released[0].memory_labels, probes[1].memory_labels)


def test_a_memory_that_does_not_fit_is_said_at_the_first_image(monkeypatch):
    monkeypatch.setattr(memory, 'available_memory', lambda: 2**20)
    feats, labels = scene(n_images=1)
    fit(DenseKNNProbe(k=1, max_cells=10**9), feats, labels)  # 13 images have 468 cells
    monkeypatch.setattr(memory, 'available_memory', lambda: 40_000)
    with pytest.raises(MemoryError, match='a memory of 468 cells of 8 channels and 4 classes, needs about 0.0 GiB of '
                       'memory, but only 0.0 GiB are free: lower max_cells=1000000000'):
        fit(DenseKNNProbe(k=1, max_cells=10**9), feats, labels)


def all_scores(rank, world_size):
    """Scores of all probes; the images without any label are those of rank 1 of 2, but for one."""
    feats, labels = scene()
    labels[1:11:2] = 255
    mine = list(range(rank, N_IMAGES, world_size))
    test_feats, _ = scene(seed=1, n_images=2)
    probes = [LinearProbe(max_cells=100, epochs=3), DenseKNNProbe(k=3, max_cells=100), SegmentRetrievalProbe(),
              KMeansProbe(n_clusters=5)]
    return [fit(probe, feats, labels, mine, batch_size=3 - rank).scores(test_feats, segments=segments_of(test_feats))
            for probe in probes]


def worker(rank, folder):
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    torch.save(all_scores(rank, 2), f'{folder}/{rank}.pt')


def test_two_processes_fit_what_one_does(tmp_path):
    *labelled, kmeans = all_scores(0, 1)
    spawn(worker, (str(tmp_path), ), nprocs=2)
    for rank in range(2):
        results = torch.load(tmp_path / f'{rank}.pt')
        assert len(labelled) == 3 and all(torch.equal(found, alone) for found, alone in zip(results, labelled))
        torch.testing.assert_close(results[3], kmeans)


def test_what_cannot_be_fitted_is_said():
    feats, labels = scene()
    with pytest.raises(ValueError, match="'linear' found no labelled cell in 13 images: .*ignore_index=255"):
        fit(LinearProbe(), feats, torch.full_like(labels, 255))
    with pytest.raises(ValueError, match="label 9 is out of range for the probe 'knn': expected 0..3 or 255"):
        fit(DenseKNNProbe(), feats, torch.full_like(labels, 9))
    with pytest.raises(ValueError, match='k=30 neighbours, but the images gave 13 labelled cells'):
        fit(DenseKNNProbe(max_cells=13), feats, labels)
    with pytest.raises(ValueError, match="features for the probe 'linear' are not finite"):
        fit(LinearProbe(), feats * float('nan'), labels)
    probe = LinearProbe()
    probe.begin(N_CHANNELS, N_CLASSES, N_IMAGES, 0, torch.device('cpu'))
    with pytest.raises(ValueError, match="'linear' learns from labels, but got none"):
        probe.add([0], feats[:1])
    for wrong in (dict(lr=0), dict(epochs=0), dict(max_cells=0)):
        with pytest.raises(ValueError, match="the probe 'linear'"):
            LinearProbe(**wrong)
    with pytest.raises(ValueError, match="repeats of the probe 'kmeans'"):
        KMeansProbe(repeats=0)


@pytest.mark.parametrize('sides', [((12, 20), (3, 5)), ((11, 7), (4, 3)), ((2, 3), (4, 6))])
def test_labels_on_grid(sides):
    (height, width), (h, w) = sides
    labels = torch.randint(0, 9, (height, width), dtype=torch.uint8)
    grid = labels_on_grid(labels, (h, w))
    assert grid.dtype == torch.long
    for y in range(h):
        for x in range(w):
            assert grid[y, x] == labels[int((y + 0.5) * height / h), int((x + 0.5) * width / w)]


def test_identity_takes_predictions_as_classes():
    confusion = np.array([[1, 5, 0], [9, 1, 0], [0, 0, 3]])
    assert match_clusters(confusion, 'identity').tolist() == [0, 1, 2]
    assert match_clusters(confusion[:, :2], 'identity').tolist() == [0, 1]
    with pytest.raises(ValueError, match="match='identity'.* class 2 was predicted and there are 2"):
        match_clusters(confusion[:2], 'identity')


META = dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0]] * 3)


def test_mean_and_deviation_over_repeats():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 8, 8))
    maps = {f'kmeans_{i}': (labels + (rng.random(labels.shape) < i / 5)) % 3 for i in (1, 2, 3)}
    samples = [
        dict(gt_sem_seg=dict(data=torch.from_numpy(labels[i:i + 1])),
             **{f'pred_sem_seg_{name}': dict(data=torch.from_numpy(of_set[i:i + 1])) for name, of_set in maps.items()})
        for i in range(4)
    ]

    def evaluate(metric):
        metric.dataset_meta = META
        for start in (0, 3):
            metric.process({}, samples[start:start + 3])
        return metric.evaluate(4)

    stages = evaluate(RepeatedIoUMetric('kmeans', repeats=3, summary='last'))
    scores = evaluate(RepeatedIoUMetric('kmeans', repeats=3))
    single = [evaluate(ClusterIoUMetric(name, show_table=False)) for name in maps]
    for name in ('aAcc', 'mIoU', 'NMI'):
        values = [of_set[name] for of_set in single]
        assert scores[name] == pytest.approx(np.mean(values), abs=1e-3)
        assert scores[f'{name}_std'] == pytest.approx(np.std(values, ddof=1), abs=1e-3) and scores[f'{name}_std'] > 1
        assert type(scores[name]) is type(scores[f'{name}_std']) is float
    assert {name: stages[name] for name in single[0]} == single[2]
    assert single[0]['mIoU'] > single[2]['mIoU'] + 10 and stages['best_on_val_stage'] == 1
    assert all(stages[f'best_on_val_{name}'] == value for name, value in single[0].items())
    with pytest.raises(ValueError, match="summary='best' is not one of"):
        RepeatedIoUMetric('kmeans', repeats=3, summary='best')
    with pytest.raises(ValueError, match=r'repeats \(a single set is scored by .*\) must be at least 2'):
        RepeatedIoUMetric('kmeans', repeats=1)


class Labelled:
    """A data set as the checks see it."""

    def __init__(self, ignore_index=255, table=(0, 1, 2, 255, 254), **meta):
        self.metainfo, self.ignore_index, self.table = dict(META, **meta), ignore_index, table

    def label_table(self):
        return np.array(self.table, np.uint8)


@pytest.mark.parametrize('wrong, message', [
    (dict(classes=()), 'the training data set of the probes has no classes'),
    (dict(classes=('a', 'b', 'x')), "different classes .class 2 is 'x' and 'c'.: use the same data set type"),
    (dict(classes=('a', 'b'), palette=None, table=[0, 1]), 'different classes .the numbers are 2 and 3'),
    (dict(palette=[[0, 0, 0]] * 4), 'has 3 classes, but its palette has 4 colours'),
    (dict(ignore_index=0, table=[0, 1, 2]), 'ignore different labels, 0 and 255'),
    (dict(table=[0, 7]), r'maps labels to \[7\], but it has the classes 0..2 and ignores 255'),
])
def test_data_sets_that_do_not_fit(wrong, message):
    check_datasets(Labelled(), Labelled())
    check_datasets(None, Labelled())
    with pytest.raises(ValueError, match=message):
        check_datasets(Labelled(**wrong), Labelled())


@pytest.mark.parametrize('metric, message', [
    (ClusterIoUMetric('linear'), "'linear' predicts classes, and its metric has match='hungarian': set match='ident"),
    (ClusterIoUMetric('over', match='identity'), "'over' predicts clusters, .* set match='hungarian' or 'majority'"),
    (ClusterIoUMetric('nothing'), "the set 'nothing', but the probes predict .*'linear'.* model .'fresh'"),
    (ClusterIoUMetric('linear', match='identity', ignore_index=0), 'ignores label 0, but the data set ignores 255'),
    (RepeatedIoUMetric('kmeans', repeats=2), "'kmeans' reads 2 sets, but the probe has 3: give both the same"),
    (RepeatedIoUMetric('kmeans', repeats=3, summary='last'), "'kmeans' are fits of their own, .*set summary='mean'"),
    (RepeatedIoUMetric('staged', repeats=2, match='identity'), "'staged' are stages of one fit, .*set summary='last'"),
])
def test_metrics_that_measure_something_else(metric, message):
    probes = [LinearProbe(), KMeansProbe(name='over', n_clusters=7), KMeansProbe(repeats=3),
              LinearProbe('staged', stages=2)]
    fine = [ClusterIoUMetric('linear', match='identity'), ClusterIoUMetric('over', match='majority'),
            RepeatedIoUMetric('kmeans', repeats=3), ClusterIoUMetric('fresh'), ClusterIoUMetric(), object(),
            RepeatedIoUMetric('staged', repeats=2, summary='last', match='identity')]
    assert check_metrics(fine, probes, ['fresh'], Labelled()) == []
    with pytest.raises(ValueError, match=message):
        check_metrics([metric], probes, ['fresh'], Labelled())


def test_one_to_one_over_clustering_is_announced():
    for n_clusters, parts in ((7, ('7 clusters for 3 classes', '4 clusters stay unmatched')),
                                (2, ('2 clusters for 3 classes', '1 classes get no cluster'))):
        warning, = check_metrics([ClusterIoUMetric('x')], [KMeansProbe('x', n_clusters)], [], Labelled())
        assert all(part in warning for part in parts)


def test_crf_without_the_package(monkeypatch):
    monkeypatch.setattr(dense_crf, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "mmseg-unsup\[crf\]"'):
        LinearProbe(crf=True)


def test_crf_removes_speckles():
    pytest.importorskip('pydensecrf')
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 50), np.int64)
    truth[:, 25:] = 1
    image = np.repeat(np.where(truth, 200, 40)[..., None], 3, 2).astype(np.uint8)
    noisy = np.where(rng.random(truth.shape) < 0.15, 1 - truth, truth)
    scores = np.eye(2, dtype=np.float32)[noisy].transpose(2, 0, 1)
    refined = DenseCRF()(image, scores)
    np.testing.assert_allclose(refined.sum(0), 1, atol=1e-4)
    before, after = (sum(ndimage.label(of_map == k)[1] for k in range(2)) for of_map in (noisy, refined.argmax(0)))
    assert after == 2 < before / 10
    assert (refined.argmax(0) == truth).all()
    assert KMeansProbe('x', repeats=2, crf=dict(temperature=0.1)).set_names == ['x_1', 'x_2', 'x_crf_1', 'x_crf_2']
