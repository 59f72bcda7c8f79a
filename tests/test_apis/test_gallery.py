"""The page of a checkpoint, against predicting image by image; what cannot be used is refused in one sentence."""
import base64
import json
import re
import zlib

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmseg.structures import SegDataSample

from mmseg_unsup.apis import ClusterNames
from mmseg_unsup.apis.gallery import make_gallery
from mmseg_unsup.apis.gallery_text import Matching, matching_of
from mmseg_unsup.datasets.errors import LabelError, UnreadableImageError
from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.datasets.transforms import LoadImage, ResizeForEvaluation
from mmseg_unsup.evaluation import ClusterIoUMetric
from mmseg_unsup.evaluation.functional import (confusion_matrix, match_clusters, matched_confusion,
                                               scores_from_confusion)
from mmseg_unsup.evaluation.functional.cluster_survey import ClusterSurvey
from mmseg_unsup.registry import METRICS, TRANSFORMS
from mmseg_unsup.utils import memory
from mmseg_unsup.utils.whole_images import whole_image_pipeline
from ..conftest import smooth_image
from .tiny_gallery import N_CLASSES, N_IMAGES, page_data, small_config, write_checkpoint, write_data
from .tiny_models import METHODS, tiny_model

K = 6


@pytest.fixture
def setting(tmp_path):
    """Config, checkpoint, model, folder of images, folder of labels."""
    cfg = small_config()
    write_data(tmp_path)
    return (cfg, *write_checkpoint(cfg, tmp_path / 'model.pth', K), str(tmp_path / 'images'), str(tmp_path / 'labels'))


@torch.no_grad()
def predicted(cfg, model, path: str) -> np.ndarray:
    """(H, W) ids as a test run gives them on whole images."""
    packed = Compose([dict(type='mmseg_unsup.LoadImage'), *whole_image_pipeline(cfg)])(
        dict(img_path=path, seg_fields=[]))
    data = model.data_preprocessor(dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']]), False)
    sample, = model.predict(data['inputs'], data['data_samples'])
    return sample.pred_sem_seg.data[0].numpy()


def decoded(text: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)


def test_numbers_and_pictures(setting, tmp_path):
    cfg, checkpoint, model, images, labels = setting
    out = tmp_path / 'new' / 'page.html'
    make_gallery(cfg, checkpoint, images, str(out), labels, n_places=3, n_images=2)
    data = page_data(out)
    paths = find_images(images)
    maps = [predicted(cfg, model, path) for path in paths]
    pixels = sum(np.bincount(ids.ravel(), minlength=K) for ids in maps)
    np.testing.assert_allclose([cluster['share'] for cluster in data['clusters']], pixels / pixels.sum())
    confusion = sum(
        confusion_matrix(cv2.imread(path.replace(images, labels).replace('.jpg', '.png'), 0), ids, N_CLASSES, K)
        for path, ids in zip(paths, maps))
    assert data['labels']['confusion'] == confusion.tolist() and data['labels']['names'][0] == 'sky'
    matched = match_clusters(confusion)
    assert 'one-to-one (Hungarian) by the number of pixels' in out.read_text()
    scores = scores_from_confusion(matched_confusion(confusion, matched))
    text = out.read_text()
    for name in ('mIoU', 'aAcc', 'mAcc'):
        assert re.search(rf'<dt>{name}</dt><dd>{scores[name]:.2f}</dd>', text)
    assert not re.search(r'https?:|@import|<link|src="(?!data:)', text.replace('{jpeg', ''))

    for k, cluster in enumerate(data['clusters']):
        shares = [(ids == k).mean() for ids in maps]
        order = np.argsort(-np.array(shares), kind='stable')[:2]
        found = [(data['images'][t['image']]['name'], t['share']) for t in cluster['images']]
        names = [path[len(images) + 1:] for path in paths]
        assert found == [(names[i], pytest.approx(shares[i])) for i in order if shares[i]]
        assert len(cluster['places']) == min(3, sum(share > 0 for share in shares)) or not all(shares)
        assert all(decoded(place['jpeg']).shape == (112, 112, 3) for place in cluster['places'])
    for picture in data['images']:
        i = names.index(picture['name'])
        shape = (picture['height'], picture['width'])
        assert maps[i].shape == shape == decoded(picture['jpeg']).shape[:2]
        np.testing.assert_array_equal(
            np.frombuffer(zlib.decompress(base64.b64decode(picture['ids'])), np.uint8).reshape(shape), maps[i])
    assert sorted(set(data['samples'])) == data['samples'] and len(data['samples']) == min(8, len(data['images']))


def test_without_labels(setting, tmp_path):
    cfg, checkpoint, model, images, _ = setting
    out = tmp_path / 'page.html'
    make_gallery(cfg, checkpoint, images, str(out), max_images=4)
    assert f'Images: {images}, 4 of {N_IMAGES}, drawn at random.' in out.read_text()
    text = out.read_text()
    assert page_data(out)['labels'] is None and 'Largest cluster' in text and 'id="confusion"' not in text
    assert 'its weights have seen: none' in text and '<dt>Images</dt><dd>4</dd>' in text
    assert page_data(out)['names']['fingerprint'] == model.cluster_identity()[2]


@torch.no_grad()
@pytest.mark.parametrize('method', METHODS)
def test_what_is_read_of_an_image_is_what_is_predicted(method):
    model = tiny_model(method)
    meta = dict(img_shape=(64, 96), ori_shape=(80, 120), pad_shape=(64, 96))
    torch.manual_seed(1)
    inputs = torch.randn(1, 3, 64, 96)
    expected, = model.predict(inputs, [SegDataSample(metainfo=meta)])
    read = model.assignments(inputs, meta)
    assert read.clusters.dtype == torch.int16
    np.testing.assert_array_equal(read.clusters, expected.pred_sem_seg.data[0])
    assert len(read.clusters.unique()) > 1 and len(read.feats) == len(read.members) == len(read.boxes) > 0
    np.testing.assert_allclose(read.feats.norm(dim=1), 1, rtol=1e-5)
    # in the middle of a cell, or of an object's box, is mostly its cluster
    x, y = (read.boxes[:, 0] + read.boxes[:, 2]) / 2, (read.boxes[:, 1] + read.boxes[:, 3]) / 2
    at_center = read.clusters[(y * 80).long(), (x * 120).long()]
    if method == 'MaskContrast':
        np.testing.assert_array_equal(read.feats, expected.object_descriptors)
        rows, columns = torch.nonzero(expected.object_map.data[0] == 1, as_tuple=True)
        left, top, right, bottom = (read.boxes[0] * torch.tensor([120, 80, 120, 80])).tolist()
        cell = 120 / 96 * 8  # the map is enlarged by interpolation
        for bound, value in ((left, columns.min()), (top, rows.min()), (right, columns.max()), (bottom, rows.max())):
            assert abs(bound - value) <= cell
    else:
        assert (at_center == read.members).float().mean() > 0.9
    assert (model.cluster_centers is None) == (method in ('IIC', 'MaskContrast', 'PriMaPs'))


@torch.no_grad()
@pytest.mark.parametrize('method', ['PiCIE', 'MaskContrast'])
def test_refined_maps_are_read_too(method):
    """Those of ``predict``; what stands for a cluster is what the features say."""
    model, meta = tiny_model(method), dict(img_shape=(64, 96), ori_shape=(80, 120))
    torch.manual_seed(1)
    inputs, image = torch.randn(1, 3, 64, 96), np.ascontiguousarray(smooth_image(np.random.default_rng(0), 80, 120))
    before = model.assignments(inputs, meta, image)
    model.test_cfg = ConfigDict(model.test_cfg, refine=dict(temperature=None, max_cells=300, edge_xy=9., edge_rgb=20.))
    read = model.assignments(inputs, meta, image)
    expected = model.winners(model.cluster_scores(inputs, [meta])[0], meta, image)[0]
    np.testing.assert_array_equal(read.clusters, expected)
    assert 0.005 < (read.clusters != before.clusters).float().mean() < 0.95 and len(expected.unique()) > 1
    for one, other in zip(read[1:], before[1:]):
        assert torch.equal(one, other)


def test_an_image_without_objects():
    model = tiny_model('MaskContrast')
    model.decode_head.saliency_threshold = 1e6
    read = model.assignments(torch.randn(1, 3, 64, 96), dict(img_shape=(64, 96), ori_shape=(80, 120)))
    assert (read.clusters == 0).all() and read.clusters.shape == (80, 120) and read.boxes.shape == (0, 4)
    survey = ClusterSurvey(model.n_predicted)
    survey.add(0, *(tensor.numpy() for tensor in read))
    assert survey.shares[0] == 1 and not survey.directions.any() and np.isnan(survey.similarities()).all()


def test_names_are_shown_again(setting, tmp_path):
    cfg, checkpoint, model, images, _ = setting
    names = ClusterNames.identity(*model.cluster_identity()).merged([[1, 3]]).renamed({1: '</script> & "ü"'})
    names.save(str(tmp_path / 'clusters.json'))
    make_gallery(cfg, checkpoint, images, str(tmp_path / 'page.html'), clusters=str(tmp_path / 'clusters.json'))
    assert page_data(tmp_path / 'page.html')['names'] == json.loads((tmp_path / 'clusters.json').read_text())


def test_matching_is_the_configs(setting):
    cfg = setting[0]
    assert matching_of(cfg) == Matching('hungarian', 'count')
    cfg.test_evaluator = [dict(type='X'), dict(type='mmseg_unsup.ClusterIoUMetric', match='majority', match_on='iou')]
    assert matching_of(cfg) == Matching('majority', 'iou')
    cfg.test_evaluator = dict(type='mmseg_unsup.ClusterMaps')
    assert matching_of(cfg) == Matching()


def test_types_are_known_by_their_classes(setting):
    """Whatever they are called: a metric, a loader and a resize of one's own."""
    TRANSFORMS.register_module('ReadsRawFiles', force=True, module=type('ReadsRawFiles', (LoadImage, ), {}))
    TRANSFORMS.register_module('Smaller', force=True, module=type('Smaller', (ResizeForEvaluation, ), {}))
    METRICS.register_module('Own', force=True, module=type('Own', (ClusterIoUMetric, ), {}))
    cfg = Config(dict(test_evaluator=dict(type='mmseg_unsup.Own', match='majority'), test_dataloader=dict(dataset=dict(
        pipeline=[dict(type='mmseg_unsup.ReadsRawFiles'), dict(type='mmseg_unsup.Smaller', size=8), dict(type='X')]))))
    assert matching_of(cfg).match == 'majority'
    found = [dict(type='mmseg_unsup.Smaller', size=4, protocol='full_resolution'), dict(type='X')]
    assert whole_image_pipeline(cfg, 4) == found


def test_unreadable_images(setting, tmp_path):
    cfg, checkpoint, _, images, labels = setting
    broken = tmp_path / 'images' / '004.jpg'
    broken.write_bytes(broken.read_bytes()[:200])
    out = tmp_path / 'page.html'
    with pytest.raises(UnreadableImageError, match='004.jpg: it is cut off'):
        make_gallery(cfg, checkpoint, images, str(out), labels)
    assert not out.exists()
    found = make_gallery(cfg, checkpoint, images, str(out), labels, on_error='skip')
    assert found.unreadable == [str(broken)] and '1 unreadable' in out.read_text()
    assert all(picture['name'] != '004.jpg' for picture in page_data(out)['images'])
    for path in (tmp_path / 'images').rglob('*.jpg'):
        path.write_bytes(b'')
    with pytest.raises(ValueError, match=f'none of the {N_IMAGES} images can be read, for example '):
        make_gallery(cfg, checkpoint, images, str(out), on_error='skip')


def test_an_image_larger_than_memory_is_refused_before_it_is_decoded(setting, tmp_path, monkeypatch):
    cfg, checkpoint, _, images, _ = setting
    cv2.imwrite(str(tmp_path / 'images' / 'large.png'), np.zeros((2000, 3000, 3), np.uint8))
    monkeypatch.setattr(memory, 'available_memory', lambda: 200 * 2**20)
    out = tmp_path / 'page.html'
    out.write_text('what was there before')
    with pytest.raises(MemoryError, match=r'large.png has 3000x2000 pixels \(6 million\), which needs about 0.3 GiB of '
                       'memory, but only 0.2 GiB are free: cut the file in parts'):
        make_gallery(cfg, checkpoint, images, str(out), on_error='skip')
    assert out.read_text() == 'what was there before'


def test_what_cannot_be_used(setting, tmp_path):
    cfg, checkpoint, model, images, labels = setting
    out = tmp_path / 'page.html'
    out.write_text('what was there before')
    (tmp_path / 'empty').mkdir()
    other = ClusterNames.identity('fresh', K, '0123456789abcdef')
    other.save(str(tmp_path / 'other.json'))
    refused = [
        (dict(images=str(tmp_path / 'empty')), ValueError, 'no image found below .*empty'),
        (dict(images=str(tmp_path / 'none')), FileNotFoundError, 'the image folder .*none. does not exist'),
        (dict(out=str(tmp_path / 'page.json')), ValueError, "must be a file whose name ends in .html"),
        (dict(clusters=str(tmp_path / 'other.json')), ValueError, "other.json has fingerprint='0123456789abcdef', but"),
        (dict(clusters=str(tmp_path / 'none.json')), FileNotFoundError, 'there is no file of cluster names .*none'),
        (dict(labels=str(tmp_path / 'none')), FileNotFoundError, "'.*none' does not exist: give the folder of label"),
        (dict(labels=str(tmp_path / 'empty')), FileNotFoundError, '10 of 10 images have no label map, such as '),
        (dict(checkpoint=str(tmp_path / 'none.pth')), FileNotFoundError, 'there is no checkpoint .*none.pth'),
        (dict(max_images=0), ValueError, 'max_images must be None or at least 1, but it is 0'),
    ]
    for changes, error, message in refused:
        arguments = dict(cfg=cfg, checkpoint=checkpoint, images=images, out=str(out))
        with pytest.raises(error, match=message):
            make_gallery(**{**arguments, **changes})
    cv2.imwrite(str(tmp_path / 'labels' / '003.png'), np.zeros((4, 4), np.uint8))
    with pytest.raises(LabelError, match=r'003.png has size \(4, 4\), but its image .*003.jpg has \(96, 80\)'):
        make_gallery(cfg, checkpoint, images, str(out), labels)
    for path in (tmp_path / 'labels').rglob('*.png'):
        cv2.imwrite(str(path), np.full_like(cv2.imread(str(path), 0), 255))
    cv2.imwrite(str(tmp_path / 'labels' / '003.png'), np.full((80, 96), 255, np.uint8))
    with pytest.raises(ValueError, match='none of the 10 images has a labelled pixel: check the label folder'):
        make_gallery(cfg, checkpoint, images, str(out), labels)
    cfg.model.decode_head.n_clusters += 1
    with pytest.raises(ValueError, match='set n_clusters of model.decode_head to 11'):
        make_gallery(cfg, checkpoint, images, str(out))
    assert out.read_text() == 'what was there before' and not list(tmp_path.glob('*.part'))
