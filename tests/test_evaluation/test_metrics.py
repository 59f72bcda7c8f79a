import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image

from mmseg_unsup.apis import ClusterNames
from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.evaluation import ClusterMaps, ClusterIoUMetric, ReleasedGroupsIoUMetric
from mmseg_unsup.evaluation.functional import (confusion_matrix, match_clusters, matched_confusion, partition_scores,
                                               scores_from_confusion)
from ..forks import spawn


def sample(clusters, labels=None, n_clusters=4, path='x.jpg', key='pred_sem_seg'):
    out = {key: dict(data=torch.as_tensor(clusters)[None]), 'img_path': path,
           'n_clusters': n_clusters}
    if labels is not None:
        out['gt_sem_seg'] = dict(data=torch.as_tensor(labels)[None])
    return out


def metric(cls=ClusterIoUMetric, **kwargs):
    built = cls(show_table=kwargs.pop('show_table', False), **kwargs)
    built.dataset_meta = dict(classes=('a', 'b', 'c'), groups=dict(first=[0], rest=[1, 2]))
    return built


def test_equals_one_confusion_over_all_images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (5, 8, 8))
    clusters = (labels + 1 + (rng.random(labels.shape) < 0.3)) % 4
    labels[rng.random(labels.shape) < 0.1] = 255
    built = metric(show_table=True)
    for c, k in zip(labels, clusters):
        built.process({}, [sample(k, c)])
    scores = built.evaluate(5)
    confusion = confusion_matrix(labels, clusters, 3, 4)
    expected = scores_from_confusion(matched_confusion(confusion, match_clusters(confusion)))
    expected.update(partition_scores(confusion))
    assert list(scores)[:5] == ['aAcc', 'mIoU', 'mAcc', 'ARI', 'NMI']
    for name in list(scores)[:5]:
        assert scores[name] == pytest.approx(expected[name], abs=1e-4)
        assert type(scores[name]) is float  # a numpy scalar would end in the checkpoint
    assert scores['rest_mIoU'] == pytest.approx(expected['IoU'][1:].mean(), abs=1e-4)


def _images():
    """Seven images: classes a and c, b never; the third has no labelled pixel at all."""
    rng = np.random.default_rng(1)
    labels = 2 * rng.integers(0, 2, (7, 6, 5))
    clusters = np.where(rng.random(labels.shape) < 0.3, 3, 1 + labels // 2)
    labels[rng.random(labels.shape) < 0.1] = 255
    labels[2] = 255
    return labels, clusters


def _score_in_a_group(rank, folder, world_size):
    """Batches of two of the images rank, rank + W, ...; the last round repeats the first images."""
    if world_size > 1:
        dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size)
    labels, clusters = _images()
    padded = [i % len(labels) for i in range(-(-len(labels) // world_size) * world_size)]
    mine, built = padded[rank::world_size], metric()
    for start in range(0, len(mine), 2):
        built.process({}, [sample(clusters[i], labels[i]) for i in mine[start:start + 2]])
    scores = built.evaluate(len(labels))
    torch.save(scores, f'{folder}/{world_size}_{rank}.pt')


def test_four_processes_with_an_uneven_last_batch_score_like_one(tmp_path):
    _score_in_a_group(0, str(tmp_path), 1)
    spawn(_score_in_a_group, (str(tmp_path), 4), nprocs=4)
    alone = torch.load(tmp_path / '1_0.pt')
    assert [torch.load(tmp_path / f'4_{rank}.pt') for rank in range(4)] == [alone] * 4


def test_images_without_labels_and_classes_without_pixels_change_no_score():
    labels, clusters = _images()
    kept = [0, 1, 3, 4, 5, 6]
    results = []
    for chosen in (range(7), kept):
        built = metric()
        built.process({}, [sample(clusters[i], labels[i]) for i in chosen])
        results.append(built.evaluate(len(chosen)))
    assert results[0] == results[1]
    agreement = (clusters == 1 + labels // 2)[labels != 255]  # clusters 1 and 2 are a and c, 3 is left over
    assert results[0]['aAcc'] == pytest.approx(100 * agreement.mean(), abs=1e-4)
    ious = [100 * ((labels == c) & (clusters == k)).sum() / (((labels == c) | (clusters == k)) & (labels != 255)).sum()
            for c, k in ((0, 1), (2, 2))]
    assert results[0]['mIoU'] == pytest.approx(sum(ious) / 2, abs=1e-4)  # b is no class of this set


def test_partition_scores_do_not_depend_on_the_matching():
    """Two clusters per class: half the pixels are lost to a one-to-one matching, the partitions stay the same."""
    results = []
    for match in ('hungarian', 'majority'):
        built = metric(match=match)
        built.process({}, [sample([[0, 3, 1, 2], [0, 3, 1, 1]], [[0, 0, 1, 1], [255, 0, 1, 1]])])
        results.append(built.evaluate(1))
    assert results[0]['aAcc'] < results[1]['aAcc'] == 100
    assert all(results[0][name] == results[1][name] < 100 for name in ('ARI', 'NMI'))


def test_released_groups_where_the_last_cluster_never_occurs():
    built = metric(ReleasedGroupsIoUMetric)
    built.process({}, [sample([[0, 1, 1]], [[2, 0, 1]])])  # cluster 2 has no pixel
    scores = built.evaluate(1)
    assert scores['aAcc'] == pytest.approx(100 * 2 / 3, abs=1e-4) and 'rest_mIoU' in scores


def test_named_prediction():
    built = metric(prediction='view1')
    built.process({}, [sample([[0, 1]], [[1, 0]], key='pred_sem_seg_view1')])
    assert built.evaluate(1)['aAcc'] == 100
    with pytest.raises(KeyError, match="no prediction of the cluster set 'view1'"):
        built.process({}, [sample([[0, 1]], [[1, 0]])])


def test_errors_name_the_file():
    with pytest.raises(KeyError, match='y.jpg has no labels.*ClusterMaps'):
        metric().process({}, [sample([[0]], path='y.jpg')])
    with pytest.raises(ValueError, match=r'y.jpg has shape \(1, 2\), its labels \(1, 1\)'):
        metric().process({}, [sample([[0, 1]], [[0]], path='y.jpg')])
    with pytest.raises(ValueError, match='y.jpg: label 9 is out of range'):
        metric().process({}, [sample([[0]], [[9]], path='y.jpg')])
    with pytest.raises(ValueError, match="match='x'"):
        metric(match='x')


def test_no_labelled_pixel():
    built = metric()
    built.process({}, [sample([[0, 1]], [[255, 255]])])
    with pytest.raises(ValueError, match='none of the 1 images has a labelled pixel'):
        built.evaluate(1)


def test_cluster_maps(tmp_path):
    maps = ClusterMaps(output_dir=str(tmp_path / 'out'), root=str(tmp_path))
    maps.dataset_meta = dict(classes=())
    clusters = np.array([[0, 1], [1, 3]])
    maps.process({}, [sample(clusters, path=str(tmp_path / 'sub' / 'a b.jpg'))])
    scores = maps.evaluate(1)
    with Image.open(tmp_path / 'out' / 'sub' / 'a b.jpg.png') as written:
        np.testing.assert_array_equal(np.array(written), clusters)
        assert written.mode == 'P'
    shares = np.array([0.25, 0.5, 0.25])
    assert scores == dict(clusters_used=3, largest_share=50.0,
                          balance=round(float(-(shares * np.log(shares)).sum() / np.log(4)), 4))


def test_maps_are_no_images_and_never_written_over_images(tmp_path):
    maps = ClusterMaps(output_dir=str(tmp_path / 'out'))
    maps.process({}, [sample([[0, 299]], path='a/x.jpg', n_clusters=300)])
    with Image.open(tmp_path / 'out' / 'x.jpg.png') as written:
        assert np.array(written).tolist() == [[0, 299]]  # of 16 bits
    (tmp_path / 'a.jpg').write_bytes(b'')
    assert [*find_images(str(tmp_path))] == [str(tmp_path / 'a.jpg')]
    with pytest.raises(ValueError, match='is the folder of the images, and what is written there'):
        ClusterMaps(output_dir=str(tmp_path / 'out' / '..'), root=str(tmp_path))


def test_two_images_of_one_name(tmp_path):
    maps = ClusterMaps(output_dir=str(tmp_path))
    maps.process({}, [sample([[0]], path='a/x.jpg')])
    maps.process({}, [sample([[0]], path='a/x.jpg')])  # a second evaluation
    with pytest.raises(ValueError, match='a/x.jpg and b/x.jpg would share the map'):
        maps.process({}, [sample([[0]], path='b/x.jpg')])


def test_stand_ins_for_unreadable_images_do_not_count(tmp_path):
    """The next image was predicted twice; its map is written once more, its pixels count once."""
    maps = ClusterMaps(output_dir=str(tmp_path))
    maps.dataset_meta = dict(classes=())
    maps.process({}, [dict(sample([[0, 0]], path='a.jpg'), replaced=True), sample([[0, 0]], path='a.jpg'),
                      sample([[1, 1]], path='b.jpg')])
    assert maps.evaluate(3) == dict(clusters_used=2, largest_share=50.0, balance=0.5)  # two of four


IDENTITY = ('fresh', 4, '0' * 16)


@pytest.fixture
def clusters_file(tmp_path):
    """Clusters 1 and 3 are class ``b``, 0 is ``things``, 2 is ``c``."""
    path = str(tmp_path / 'clusters.json')
    ClusterNames.identity(*IDENTITY).renamed({0: 'things', 1: 'b', 2: 'c'}).merged([[1, 3]]).save(path)
    return path


def named_sample(*args, identity=IDENTITY, **kwargs):
    return dict(sample(*args, **kwargs), cluster_identity=identity)


def test_scores_of_named_and_merged_clusters(clusters_file):
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, 3, (8, 8)), rng.integers(0, 4, (8, 8))
    built = metric(clusters=clusters_file, prediction='fresh', show_table=True)
    built.process({}, [named_sample(clusters, labels, key='pred_sem_seg_fresh')])
    scores = built.evaluate(1)
    predicted = np.array([0, 1, 2, 1])[clusters]  # `things` takes the class that is left
    assert scores['aAcc'] == pytest.approx(100 * (predicted == labels).mean(), abs=1e-3)
    ious = [((predicted == c) & (labels == c)).sum() / ((predicted == c) | (labels == c)).sum() for c in range(3)]
    assert scores['mIoU'] == pytest.approx(100 * np.mean(ious), abs=1e-3)
    assert scores['ARI'] == pytest.approx(partition_scores(confusion_matrix(labels, predicted, 3, 3))['ARI'], abs=1e-3)


def test_maps_of_named_and_merged_clusters(clusters_file, tmp_path):
    maps = ClusterMaps(str(tmp_path / 'maps'), clusters=clusters_file)
    clusters = np.arange(16).reshape(4, 4) % 4
    maps.process({}, [named_sample(clusters)])
    written = Image.open(tmp_path / 'maps' / 'x.jpg.png')
    names = ClusterNames.load(clusters_file)
    np.testing.assert_array_equal(np.array(written), np.array([0, 1, 2, 1])[clusters])
    np.testing.assert_array_equal(np.array(written.getpalette()[:9]).reshape(3, 3), names.palette)
    assert maps.evaluate(1)['clusters_used'] == 3


def test_names_of_other_clusters(clusters_file, tmp_path):
    other = named_sample([[0]], [[0]], identity=('fresh', 4, 'f' * 16))
    for built in (metric(clusters=clusters_file), ClusterMaps(str(tmp_path / 'maps'), clusters=clusters_file)):
        with pytest.raises(ValueError, match='names belong to another checkpoint'):
            built.process({}, [other])
    assert not (tmp_path / 'maps').exists()
    with pytest.raises(ValueError, match="names the clusters of 'fresh', but this metric scores prediction='view1'"):
        metric(clusters=clusters_file, prediction='view1')
    with pytest.raises(ValueError, match="clusters goes with match='hungarian' or 'majority'"):
        metric(clusters=clusters_file, match='identity')
