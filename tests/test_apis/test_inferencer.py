"""UnsupInferencer, against the model's own predictions and by hand."""
import itertools
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmcv.transforms import Compose

from mmseg_unsup.apis import ClusterNames, UnsupInferencer, image_input, load_segmentor
from mmseg_unsup.apis.picture_model import PictureModel
from mmseg_unsup.apis.tiling import blend_tiles, tile_starts
from mmseg_unsup.datasets.errors import UnreadableImageError
from mmseg_unsup.functional import dense_crf
from mmseg_unsup.functional.crf import build_crf
from mmseg_unsup.utils import memory
from ..conftest import smooth_image
from ..test_datasets.test_masked_images import write_masks
from .tiny_models import METHODS, K, model_config, tiny_model

SIZE = 48


def tiny_checkpoint(method, folder, protocol='full_resolution'):
    """(config, path of the checkpoint) of a small model."""
    model, path = tiny_model(method), str(folder / f'{method}.pth')
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    pipeline = [dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.LoadLabels'),
                dict(type='mmseg_unsup.ResizeForEvaluation', size=SIZE, protocol=protocol), dict(type='PackSegInputs')]
    return Config(dict(model=model_config(method), test_dataloader=dict(dataset=dict(pipeline=pipeline)))), path


def inferencer(method, folder, **kwargs):
    return UnsupInferencer(*tiny_checkpoint(method, folder), device='cpu', show_progress=False, **kwargs)


@pytest.mark.parametrize('method', METHODS)
def test_maps_are_those_of_the_test_step(method, image_folder, tmp_path):
    config, weights = tiny_checkpoint(method, tmp_path, 'squash')
    built = UnsupInferencer(config, weights, device='cpu', show_progress=False)
    results = built(image_folder, batch_size=3)
    names = ['background' if method == 'MaskContrast' and k == 0 else f'cluster {k}' for k in range(K)]
    assert len(results['predictions']) == 8 and results['names'] == names
    _, model = load_segmentor(config, weights)
    pipeline = Compose([config.test_dataloader.dataset.pipeline[i] for i in (0, 2, 3)])
    for found in results['predictions']:
        with torch.no_grad():
            expected = model.test_step(pseudo_collate([pipeline(dict(img_path=found['path']))]))[0]
        expected = expected.pred_sem_seg.data[0].numpy()
        assert (found['ids'] == expected).mean() > 0.9999 and len(np.unique(expected)) > 1
        assert found['scores'].shape == found['ids'].shape and np.isfinite(found['scores']).all()
        counts = np.bincount(found['ids'].ravel(), minlength=K) / found['ids'].size
        assert found['shares'] == {names[k]: pytest.approx(counts[k]) for k in range(K) if counts[k]}


def test_images_with_masks_keep_them(image_folder, tmp_path):
    config, weights = tiny_checkpoint('MaskContrast', tmp_path, 'squash')
    plain = UnsupInferencer(config, weights, device='cpu', show_progress=False)
    masks = write_masks(tmp_path / 'masks', tmp_path / 'images')
    config.model.test_cfg = dict(pool='mean', masks=dict(data_root=image_folder, mask_root=str(masks)))
    built = UnsupInferencer(config, weights, device='cpu', show_progress=False)
    for found in built(image_folder, batch_size=3)['predictions']:
        mask = cv2.imread(str(masks / Path(found['path']).relative_to(image_folder).with_suffix('.png')), 0) > 0
        shown = found['ids'] > 0
        assert (shown & mask).sum() / (shown | mask).sum() > 0.9 and len(np.unique(found['ids'])) == 2
    array = cv2.imread(found['path'])  # has no path: the network finds the object
    by_network, of_plain = (one(array)['predictions'][0]['ids'] > 0 for one in (built, plain))
    np.testing.assert_array_equal(by_network, of_plain)
    assert (by_network != shown).mean() > 0.1


def test_paths_arrays_and_lists_agree(image_folder, tmp_path):
    built = inferencer('PiCIE', tmp_path)
    path = str(next(tmp_path.glob('images/*.jpg')))
    array = cv2.imread(path)
    by_path, by_array = built(path)['predictions'], built([array, path])['predictions']
    assert len(by_path) == 1 and [found['path'] for found in by_array] == [None, path]
    for found in by_array:
        np.testing.assert_array_equal(found['ids'], by_path[0]['ids'])
    assert by_path[0]['ids'].shape == array.shape[:2]


def test_the_whole_image_is_seen_though_scores_are_of_a_crop(tmp_path):
    cv2.imwrite(str(tmp_path / 'x.png'), smooth_image(np.random.default_rng(0), 60, 150))
    config, weights = tiny_checkpoint('PiCIE', tmp_path, 'center_crop')
    built = UnsupInferencer(config, weights, device='cpu', show_progress=False)
    seen = []
    original = built.model.cluster_scores
    built.model.cluster_scores = lambda inputs, metas: seen.append(tuple(inputs.shape)) or original(inputs, metas)
    assert built(str(tmp_path / 'x.png'))['predictions'][0]['ids'].shape == (60, 150)
    assert seen == [(1, 3, SIZE, SIZE * 150 // 60)]
    assert config.test_dataloader.dataset.pipeline[2].protocol == 'center_crop'  # the caller's config stays


def test_batches_keep_the_order_and_the_maps(image_folder, tmp_path):
    """Two sizes take turns, and pictures wait for others of theirs; one image cannot be read."""
    (tmp_path / 'images' / '000000000003x.jpg').write_bytes(b'no image')
    built = inferencer('PiCIE', tmp_path, on_error='skip', workers=2)
    seen, original = [], built.model.cluster_scores
    built.model.cluster_scores = lambda inputs, metas: seen.append(len(inputs)) or original(inputs, metas)
    one, three, default = ([*built.stream(image_folder, size)] for size in (1, 3, None))
    assert seen == [1] * 8 + [3, 3, 1, 1] + [1] * 8
    paths = [found.path for found in one]
    assert len(paths) == 8 and paths == sorted(paths)
    for batched in (three, default):
        assert [found.path for found in batched] == paths
        for found, alone in zip(batched, one):
            np.testing.assert_array_equal(found.ids, alone.ids)
            np.testing.assert_allclose(found.scores, alone.scores, atol=1e-6)


def test_mixed_precision_changes_few_pixels(image_folder, tmp_path):
    exact, mixed = inferencer('PiCIE', tmp_path), inferencer('PiCIE', tmp_path, amp=True)
    kinds = set()
    mixed.model.backbone.layer1.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    pairs = [*zip(exact.stream(image_folder), mixed.stream(image_folder))]
    assert kinds == {torch.bfloat16} and mixed.settings()['precision'] == 'bfloat16'
    assert np.mean([(one.ids == other.ids).mean() for one, other in pairs]) > 0.97
    assert 0 < max(np.abs(one.scores - other.scores).max() for one, other in pairs) < 0.02


def test_names_and_merged_classes(image_folder, tmp_path):
    plain = inferencer('PiCIE', tmp_path)
    names = plain.cluster_names.merged([[1, 4]]).renamed({1: 'sky', 0: 'road'})
    names.save(str(tmp_path / 'clusters.json'))
    named = inferencer('PiCIE', tmp_path, clusters=str(tmp_path / 'clusters.json'))
    out = named(image_folder, return_vis=True, out_dir=str(tmp_path / 'out'))
    assert out['names'][:2] == ['road', 'sky'] and len(out['visualization']) == 8
    for before, found in zip(plain(image_folder)['predictions'], out['predictions']):
        np.testing.assert_array_equal(names.table[before['ids']], found['ids'])
        np.testing.assert_array_equal(before['scores'], found['scores'])
    maps = sorted((tmp_path / 'out' / 'maps').rglob('*.png'))
    assert len(maps) == 8 and any(path.parent.name == 'more' for path in maps)
    from PIL import Image
    image = Image.open(tmp_path / 'out' / 'maps' / f'{"0" * 11}1.jpg.png')
    found = next(found for found in out['predictions'] if found['path'].endswith(f'{"0" * 11}1.jpg'))
    np.testing.assert_array_equal(np.array(image), found['ids'])
    np.testing.assert_array_equal(np.array(image.getpalette()[:12]).reshape(4, 3), names.palette)


def test_names_of_another_checkpoint(tmp_path):
    names = ClusterNames.identity('view1', K, '0' * 16)
    with pytest.raises(ValueError, match='names belong to another checkpoint'):
        inferencer('PiCIE', tmp_path, clusters=names)


def test_drawing_shows_image_colours_and_legend(image_folder, tmp_path):
    built = inferencer('MaskContrast', tmp_path)
    prediction = next(built.stream(image_folder))
    drawn = built.draw(prediction)
    height, width = prediction.ids.shape
    assert drawn.shape[0] >= height and drawn.shape[1] > width + 60 and len(np.unique(prediction.ids)) > 1
    outside = (prediction.ids == 0) & (drawn[:height, :width] != 255).any(-1)
    assert built.background == 0 and outside.any()
    np.testing.assert_array_equal(drawn[:height, :width][outside], prediction.image[outside])
    shown = [k for k in np.unique(prediction.ids) if k]
    for line, k in enumerate(shown):
        assert (drawn[8 + 20 * line + 6, width + 8 + 6] == built.palette[k]).all()


def test_unreadable_images(image_folder, tmp_path):
    (tmp_path / 'images' / 'broken.jpg').write_bytes(b'no image')
    with pytest.raises(UnreadableImageError, match='broken.jpg'):
        inferencer('PiCIE', tmp_path)(image_folder)
    built = inferencer('PiCIE', tmp_path, on_error='skip')
    assert len(built(image_folder)['predictions']) == 8
    assert len(built.skipped) == 1 and 'broken.jpg' in built.skipped[0]
    assert len(built(image_folder)['predictions']) == 8 and len(built.skipped) == 1


def test_no_two_images_share_a_file_and_none_is_written_over(tmp_path):
    built, image = inferencer('PiCIE', tmp_path), smooth_image(np.random.default_rng(0), 60, 80)
    names = ['x.jpg', 'x.jpg.png', 'x.png', os.fsdecode(b'caf\xe9.png')]
    for folder in ('maps', 'other'):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(cv2.imencode('.png', image)[1].tobytes())
    before = {path: path.read_bytes() for path in (tmp_path / 'maps').iterdir()}
    with pytest.raises(ValueError, match='maps is the folder of the images, and what is written there would take'):
        built(str(tmp_path / 'maps'), out_dir=str(tmp_path))
    twice = [str(tmp_path / folder / 'x.jpg') for folder in ('maps', 'other')]
    with pytest.raises(ValueError, match='two images would have the map x.jpg.png: give the folder that holds both'):
        built(twice, out_dir=str(tmp_path / 'out'))
    assert {path: path.read_bytes() for path in (tmp_path / 'maps').iterdir()} == before
    assert not (tmp_path / 'out').exists()
    found = built(str(tmp_path / 'other'), out_dir=str(tmp_path / 'other'))['predictions']
    assert len(found) == 4 == len(list((tmp_path / 'other' / 'maps').glob('*.png')))
    assert len(list((tmp_path / 'other' / 'overlays').glob('*.jpg'))) == 4
    path = built.save_record(str(tmp_path / 'other'), {os.path.basename(of['path']): of['shares'] for of in found})
    with open(path, encoding='utf-8') as file:
        assert sorted(json.load(file)['images']) == sorted([*names[:3], 'caf\\udce9.png'])
    assert len(built(str(tmp_path / 'other'))['predictions']) == 4  # no map of them is an image


def test_an_image_larger_than_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / 'large.png'
    cv2.imwrite(str(path), np.zeros((2000, 3000, 3), np.uint8))
    monkeypatch.setattr(memory, 'available_memory', lambda: 200 * 2**20)
    monkeypatch.setattr(image_input.LoadImage, 'transform', lambda *args: pytest.fail('decoded'))
    whole = inferencer('PiCIE', tmp_path, on_error='skip')
    with pytest.raises(MemoryError, match=r'large.png has 3000x2000 pixels \(6 million\), which needs about 0.3 GiB of '
                       r'memory, but only 0.2 GiB are free: use \(smaller\) tiles, as by --tile 512'):
        whole(str(path))
    monkeypatch.undo()
    monkeypatch.setattr(memory, 'available_memory', lambda: 200 * 2**20)
    tiled = inferencer('PiCIE', tmp_path, tile=200)
    assert tiled(str(path))['predictions'][0]['ids'].shape == (2000, 3000)


def test_an_image_that_opencv_cannot_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(image_input, 'header_shape', lambda path: (40_000, 40_000))
    (tmp_path / 'x.png').write_bytes(b'x')
    with pytest.raises(MemoryError, match='40000x40000 pixels .1600 million., and OpenCV decodes 1074 million at most'):
        image_input.read_picture(str(tmp_path / 'x.png'), lambda shape: 0)


@pytest.mark.parametrize('inputs, error, message', [
    ('nowhere.jpg', FileNotFoundError, "no image or folder 'nowhere.jpg'"),
    (np.zeros((4, 4), np.uint8), TypeError, r'shape \(4, 4\) and type uint8: expected'),
    (np.zeros((4, 4, 3), np.float32), TypeError, 'type float32'),
    ([3], TypeError, 'given as int'),
    ([], ValueError, 'no image was given'),
])
def test_inputs_of_other_kinds(inputs, error, message):
    with pytest.raises(error, match=message):
        image_input.list_inputs(inputs)


@pytest.mark.parametrize('options, message', [
    (dict(on_error='ignore'), "on_error='ignore' is not one of"),
    (dict(size=0), 'size must be at least 1'),
    (dict(tile=64), 'tiles of 64 pixels cannot overlap by 64: overlap must be at least 0 and less'),
])
def test_bad_options(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        inferencer('PiCIE', tmp_path, **options)


# --- tiles


@pytest.mark.parametrize('length, tile, overlap', [
    (100, 40, 10), (101, 40, 0), (40, 40, 8), (30, 40, 8), (1000, 64, 63), (41, 40, 39)])
def test_tiles_cover_a_side_and_overlap(length, tile, overlap):
    starts = tile_starts(length, tile, overlap)
    covered = np.zeros(length, int)
    for start in starts:
        covered[start:start + tile] += 1
    assert covered.all() and starts[0] == 0 and starts[-1] == max(0, length - tile)
    assert all(a + tile - b >= overlap for a, b in zip(starts, starts[1:]))


def test_blending_by_hand():
    """Scores 0, 1, 2 ... by tile, 40 x 30 pixels each; against a loop over tiles on the whole canvas."""
    shape, tile, overlap = (64, 90), 40, 12
    tops, lefts = tile_starts(64, 40, 12), tile_starts(90, 40, 12)
    value = {(top, left): i for i, (top, left) in enumerate(itertools.product(tops, lefts))}

    def scores(boxes):
        for rows, columns in boxes:
            plane = torch.full((40, 40), float(value[rows.start, columns.start]))
            yield torch.stack([plane, -plane])

    canvas = torch.full((2, *shape), torch.nan)
    for rows, of_rows in blend_tiles(shape, tile, overlap, 2, scores):
        assert canvas[:, rows].isnan().all()
        canvas[:, rows] = of_rows

    def weight(i, start, starts):
        inside = start <= i < start + 40
        rise = min(1., (i - start + 0.5) / overlap) if start != starts[0] else 1.
        fall = min(1., (start + 40 - i - 0.5) / overlap) if start != starts[-1] else 1.
        return inside * min(rise, fall)

    for y in range(0, 64, 7):
        for x in range(0, 90, 5):
            weights = {key: weight(y, key[0], tops) * weight(x, key[1], lefts) for key in value}
            expected = sum(weights[key] * value[key] for key in value) / sum(weights.values())
            assert float(canvas[0, y, x]) == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(canvas[1], -canvas[0])


def pixelwise(inputs, metas):
    """Scores that depend on the colour of a pixel alone, so that no border can matter."""
    return torch.cat([inputs, inputs.mean(1, keepdim=True), -inputs.mean(1, keepdim=True)], 1)


def test_tiles_of_a_pixelwise_model_change_nothing(tmp_path):
    image = smooth_image(np.random.default_rng(3), SIZE, 3 * SIZE)
    whole, tiled = inferencer('PiCIE', tmp_path), inferencer('PiCIE', tmp_path, tile=SIZE, overlap=16)
    for built in (whole, tiled):
        built.model.cluster_scores = pixelwise
    first, second = (built(image, batch_size=2)['predictions'][0] for built in (whole, tiled))
    np.testing.assert_allclose(second['scores'], first['scores'], atol=1e-5)
    assert (second['ids'] == first['ids']).mean() > 0.999 and len(np.unique(first['ids'])) > 2


@pytest.mark.parametrize('method', METHODS)
def test_tiles_of_an_image_that_fits_change_nothing(method, tmp_path):
    image = smooth_image(np.random.default_rng(3), 60, 80)
    whole, tiled = inferencer(method, tmp_path), inferencer(method, tmp_path, tile=80, overlap=16)
    first, second = (built(image)['predictions'][0] for built in (whole, tiled))
    np.testing.assert_array_equal(first['ids'], second['ids'])
    np.testing.assert_array_equal(first['scores'], second['scores'])


def test_tiles_agree_away_from_their_borders(tmp_path):
    """With a network that sees a few pixels around: what a tile cannot see changes only what lies at its border."""
    image = smooth_image(np.random.default_rng(3), 2 * SIZE, 6 * SIZE)
    whole = inferencer('PiCIE', tmp_path, size=2 * SIZE)
    tiled = inferencer('PiCIE', tmp_path, size=2 * SIZE, tile=2 * SIZE, overlap=0)
    local = torch.randn(K, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    for built in (whole, tiled):
        built.model.cluster_scores = lambda inputs, metas: F.conv2d(inputs, local, padding=4)
    first, second = (built(image)['predictions'][0]['ids'] for built in (whole, tiled))
    x = np.arange(6 * SIZE) % (2 * SIZE)
    away = (x >= 4) & (x < 2 * SIZE - 4)
    np.testing.assert_array_equal(first[:, away], second[:, away])
    assert (first != second).any()


@pytest.mark.parametrize('method', METHODS)
def test_tiles_of_every_method(method, tmp_path):
    image = smooth_image(np.random.default_rng(3), 100, 150)
    found = inferencer(method, tmp_path, tile=60, overlap=20)(image, batch_size=4)['predictions'][0]
    assert found['ids'].shape == (100, 150) and 0 <= found['ids'].min() and found['ids'].max() < K
    assert len(np.unique(found['ids'])) > 1


# --- refinement


def test_refined_maps_are_those_of_a_crf_by_hand(image_folder, tmp_path):
    """At the size of the file, of the scores that the network gives; names, shares and scores go with them."""
    cells = {'model.test_cfg.refine.max_cells': 500}
    plain, refined = (inferencer('PiCIE', tmp_path, options=options, **none)
                      for options, none in ((cells, dict(refine='none')), (cells, {})))
    path = str(next(tmp_path.glob('images/*.jpg')))
    found, before = (built(path)['predictions'][0] for built in (refined, plain))
    image = cv2.imread(path)
    with torch.no_grad():
        seen = PictureModel(plain.model, plain.pipeline, tile=None, overlap=0, smooth=1, amp=False)
        scores, meta = seen.scores([image_input.Picture(path, image)])
    scores = F.interpolate(F.interpolate(scores, meta[0]['img_shape'], mode='bilinear'), image.shape[:2],
                           mode='bilinear')[0].numpy()
    expected = build_crf('exact', temperature=float(0.6 * scores.std(0, ddof=1).mean()), max_cells=500)(
        np.ascontiguousarray(image[..., ::-1]), scores).argmax(0)
    np.testing.assert_array_equal(found['ids'], expected)
    np.testing.assert_allclose(found['scores'], np.take_along_axis(scores, expected[None], 0)[0], atol=1e-6)
    assert found['shares'] == {f'cluster {k}': (expected == k).mean() for k in np.unique(expected)}
    assert 0.01 < (found['ids'] != before['ids']).mean() < 0.9
    assert refined.cluster_names.to_dict() == plain.cluster_names.to_dict()


@pytest.mark.parametrize('method', METHODS)
def test_refined_maps_of_every_method_whole_and_in_tiles(method, tmp_path):
    """An image that is larger than what a CRF sees: tiles change nothing but how the network sees it."""
    image = smooth_image(np.random.default_rng(3), 2 * SIZE, 3 * SIZE)
    options = {'model.test_cfg.refine': dict(max_pixels=2000, max_cells=300, edge_rgb=20.)}
    whole, one_tile, tiled = (inferencer(method, tmp_path, options=dict(options), **tiles)
                              for tiles in ({}, dict(tile=2 * SIZE, overlap=90), dict(tile=SIZE, overlap=20)))
    built = whole(image)['predictions'][0]
    assert built['ids'].shape == image.shape[:2] and len(np.unique(built['ids'])) > 1
    for other in (one_tile, tiled):
        other.model.cluster_scores = whole.model.cluster_scores = pixelwise
    found = [one(image, batch_size=2)['predictions'][0]['ids'] for one in (whole, one_tile, tiled)]
    assert len(np.unique(found[0])) > 2
    assert (found[1] == found[2]).mean() > 0.98 and (found[0] == found[1]).mean() > 0.9


def test_refinements_that_cannot_be(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="method='fast' of a CRF is not one of"):
        inferencer('PiCIE', tmp_path, refine='fast')
    monkeypatch.setattr(dense_crf, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match="a dense CRF needs pydensecrf: .* method='exact'"):
        inferencer('PiCIE', tmp_path, refine='lattice')
    monkeypatch.setattr(memory, 'available_memory', lambda: 100 * 2**20)
    cells = {'model.test_cfg.refine': dict(max_cells=20_000)}
    with pytest.raises(MemoryError, match='an array has 200x150 pixels .* needs about 4.5 GiB'):
        inferencer('PiCIE', tmp_path, options=cells)(np.zeros((150, 200, 3), np.uint8))
    inferencer('PiCIE', tmp_path, options=cells, refine='none')(np.zeros((150, 200, 3), np.uint8))


# --- loading


def test_config_in_the_checkpoint(image_folder, tmp_path):
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    stored = torch.load(weights, weights_only=True)
    torch.save(dict(stored, meta=dict(cfg=config.pretty_text)), tmp_path / 'with.pth')
    first = UnsupInferencer(None, str(tmp_path / 'with.pth'), device='cpu', show_progress=False)(image_folder)
    second = UnsupInferencer(config, weights, device='cpu', show_progress=False)(image_folder)
    for one, other in zip(first['predictions'], second['predictions']):
        np.testing.assert_array_equal(one['ids'], other['ids'])
    changed = UnsupInferencer(None, str(tmp_path / 'with.pth'), device='cpu', show_progress=False,
                              options={'test_dataloader.dataset.pipeline.2.size': 32})
    assert [transform.size for transform in changed.pipeline.transforms if hasattr(transform, 'size')] == [32]
    with pytest.raises(ValueError, match='carries no config'):
        load_segmentor(None, weights)


class Evil:

    def __reduce__(self):
        return print, ('run', )


def test_checkpoints_are_read_as_data(tmp_path, capsys):
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    torch.save(dict(torch.load(weights, weights_only=True), evil=Evil()), weights)
    with pytest.raises(ValueError, match=r'wants to load (builtins\.)?print'):
        load_segmentor(config, weights)
    assert 'run' not in capsys.readouterr().out.split()


def test_checkpoints_and_configs_that_do_not_fit(tmp_path):
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    for content in ([1, 2], 'text', torch.zeros(2), dict(state_dict=[1])):
        torch.save(content, tmp_path / 'odd.pth')
        for given in (config, None):
            with pytest.raises(ValueError, match='odd.pth holds no dict of weights'):
                load_segmentor(given, str(tmp_path / 'odd.pth'))
    with pytest.raises(FileNotFoundError, match="no config 'nowhere.py'"):
        load_segmentor('nowhere.py', weights)
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        load_segmentor(config, str(tmp_path / 'nowhere.pth'))
    with pytest.raises(ValueError, match='lacks .* tensors that predictions are made of'):
        load_segmentor(tiny_checkpoint('IIC', tmp_path)[0], weights)
    other = Config(dict(config.to_dict()))
    other.model.backbone.base_channels = 4
    with pytest.raises(ValueError, match='does not fit the config .* tensors, first: size mismatch'):
        load_segmentor(other, weights)
    supervised = Config(dict(model=dict(
        type='EncoderDecoder', backbone=config.model.backbone.to_dict(),
        decode_head=dict(type='FCNHead', in_channels=64, channels=8, num_classes=3))))
    with pytest.raises(TypeError, match='not a method of mmseg_unsup'):
        load_segmentor(supervised, weights)


def test_config_by_its_name_in_the_package():
    from mmseg_unsup.apis import read_config
    assert read_config('mmseg_unsup::picie/picie_fpn_camvid.py').model.decode_head.n_clusters == 11
    with pytest.raises(FileNotFoundError, match="no config 'mmseg_unsup::picie/nowhere.py'"):
        read_config('mmseg_unsup::picie/nowhere.py')
