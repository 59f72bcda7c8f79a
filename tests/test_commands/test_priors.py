"""``mmseg-unsup priors`` and ``mmseg-unsup score-priors`` on drawn pictures."""
import json
import multiprocessing
import os
import time

import cv2
import numpy as np
import pytest
import torch

from mmseg_unsup.analysis import score_priors
from mmseg_unsup.apis import mask_folder, prior_configs
from mmseg_unsup.apis.prior_configs import build_prior
from mmseg_unsup.commands import make_parser, priors
from mmseg_unsup.models.backbones import dino_vit_config
from mmseg_unsup.priors import NormalizedCutPrior, PrincipalMaskPrior, RBDPrior, RegionPrior, TokenCutPrior
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.console import quiet_console
from ..conftest import run_tool, shared_file
from ..test_models.test_dino_vit import random_vit
from ..test_priors.test_rbd import disc_picture, iou

TOOL = 'make_priors.py'
SMALL = ('--options', 'max_side=60', 'n_superpixels=60')
SMALL_VIEW = ('--options', 'image_side=128')


def write_discs(folder, count=5):
    """Discs in pictures of different ground, and their masks; one in a sub-folder."""
    truths = {}
    for i in range(count):
        image, truth = disc_picture(noise=2 + i)
        name = f'more/{i}' if i == 0 else f'{i}'
        for kind, picture in (('images', image[..., ::-1]), ('labels', truth.astype(np.uint8))):
            path = folder / kind / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
        truths[name] = truth
    return truths


@pytest.fixture
def call(tool):
    """Run the command in this process; returns the exit status."""

    def run(*args):
        with quiet_console():
            return tool('priors', *args)

    return run


def record_of(folder):
    return json.loads((folder / 'priors.json').read_text())


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*.png')}


def test_masks_and_record(call, tmp_path):
    truths = write_discs(tmp_path)
    images, out = tmp_path / 'images', tmp_path / 'out'
    cv2.imwrite(str(images / 'plain.jpg'), np.full((60, 80, 3), 90, np.uint8))
    assert call(images, out, *SMALL) == 0
    for name, truth in truths.items():
        mask = cv2.imread(str(out / f'{name}.png'), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(images / f'{name}.png'))[..., ::-1]
        np.testing.assert_array_equal(mask, RBDPrior(max_side=60, n_superpixels=60)(np.ascontiguousarray(image)))
        assert iou(mask > 0, truth) > 0.85
    plain = cv2.imread(str(out / 'plain.png'), cv2.IMREAD_UNCHANGED)
    assert plain.shape == (60, 80) and not plain.any()
    record = record_of(out)
    assert (record['n_images'], record['kept'], record['not_kept'], record['unreadable']) == (6, 5, ['plain'], {})
    assert record['kept_fraction'] == pytest.approx(5 / 6) and record['complete'] and record['labels'] == 'none'
    assert (record['method'], record['parameters']['max_side']) == ('RBDPrior', 60)
    areas = [(cv2.imread(str(out / f'{name}.png'), 0) > 0).mean() for name in truths]
    assert record['foreground_area']['mean'] == pytest.approx(np.mean(areas))
    assert record['foreground_area']['counts'] == np.histogram(areas, 10, (0, 1))[0].tolist()
    assert record['cpu_ms_per_image'] > 0 and record['wall_s'] > 0 and record['images_timed'] == 6
    # pictures of 6 images in rows of 3, two columns each
    assert cv2.imread(str(out / 'contact_sheet.jpg')).shape == (24 + 2 * 166, 6 + 6 * 166, 3)
    assert not list(out.rglob('*.part'))


@pytest.fixture
def network(tmp_path):
    """A file with the random weights of a narrow ResNet-18."""
    torch.manual_seed(0)
    path = tmp_path / 'resnet18.pth'
    torch.save(MODELS.build(dict(type='ResNet', depth=18, base_channels=8)).state_dict(), path)
    return path


@pytest.mark.slow
def test_workers_do_not_change_the_masks(tmp_path, network):
    write_discs(tmp_path)
    for workers in (1, 2):
        run_tool(TOOL, tmp_path / 'images', tmp_path / f'out{workers}', '--workers', workers, '--min-kept', 0,
                 '--prior', 'tokencut', '--weights', network, *SMALL_VIEW)
    first, second = (files_of(tmp_path / f'out{workers}') for workers in (1, 2))
    assert len(first) == 5 and first == second
    one, two = (record_of(tmp_path / f'out{workers}') for workers in (1, 2))
    timed = ('wall_s', 'cpu_ms_per_image')
    assert {k: v for k, v in one.items() if k not in timed} == {k: v for k, v in two.items() if k not in timed}


def test_a_second_call_makes_what_is_missing(call, tmp_path, capsys):
    write_discs(tmp_path)
    images, out = tmp_path / 'images', tmp_path / 'out'
    call(images, out, *SMALL)
    complete, record = files_of(out), record_of(out)
    (out / '3.png').unlink()
    marked = np.zeros((90, 120), np.uint8)
    marked[:45] = 255
    cv2.imwrite(str(out / '2.png'), marked)
    assert call(images, out, *SMALL) == 0
    assert '3 of 5 images were made before' in capsys.readouterr().out  # that of another size is read
    assert files_of(out)['3.png'] == complete['3.png'] and files_of(out)['2.png'] != complete['2.png']
    assert record_of(out)['images_timed'] == 4 and record_of(out)['kept'] == 5
    assert record_of(out)['foreground_area']['counts'][4] + record_of(out)['foreground_area']['counts'][5] == 1
    (out / '2.png').write_bytes(complete['2.png'])
    call(images, out, *SMALL)  # nothing to do: the times stay
    assert {**record_of(out), 'wall_s': 0, 'images_timed': 0, 'cpu_ms_per_image': 0} == \
        {**record, 'wall_s': 0, 'images_timed': 0, 'cpu_ms_per_image': 0}
    assert record_of(out)['images_timed'] == 4


def test_other_settings_are_refused(call, tmp_path):
    write_discs(tmp_path, 2)
    images, out = tmp_path / 'images', tmp_path / 'out'
    call(images, out, *SMALL)
    before = files_of(out)
    with pytest.raises(ValueError, match='records results with parameters.max_side=60, but this call has 80'):
        call(images, out, '--options', 'max_side=80', 'n_superpixels=60')
    with pytest.raises(ValueError, match='results with images=.*images., but this call has .*labels.: use another '
                       'folder'):
        call(tmp_path / 'labels', out, *SMALL)
    with pytest.raises(ValueError, match="records results with method='RBDPrior', but this call has 'RegionPrior'"):
        call(images, out, '--prior', 'region')
    assert files_of(out) == before


def test_an_interrupted_call_leaves_a_record(call, tmp_path, monkeypatch):
    write_discs(tmp_path, 3)
    images, out = tmp_path / 'images', tmp_path / 'out'
    make_mask, made = mask_folder.make_mask, []

    def stop_at_the_second(*job):
        if made:
            raise KeyboardInterrupt
        made.append(job)
        return make_mask(*job)

    monkeypatch.setattr(mask_folder, 'make_mask', stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        call(images, out, *SMALL)
    assert len(files_of(out)) == 1 and record_of(out)['complete'] is False
    with pytest.raises(ValueError, match='parameters.max_side=60'):
        call(images, out)
    monkeypatch.setattr(mask_folder, 'make_mask', make_mask)
    call(images, out, *SMALL)
    assert len(files_of(out)) == 3 and record_of(out)['complete'] is True


def test_unreadable_images(call, tmp_path):
    write_discs(tmp_path, 3)
    images, out = tmp_path / 'images', tmp_path / 'out'
    (images / 'broken.jpg').write_bytes(b'\xff\xd8 cut off')
    with pytest.raises(ValueError, match='cannot use the image .*broken.jpg: it is cut off.*--on-error skip'):
        call(images, out, *SMALL)
    assert call(images, out, '--on-error', 'skip', *SMALL) == 0
    record = record_of(out)
    assert list(record['unreadable']) == ['broken'] and 'cut off' in record['unreadable']['broken']
    assert (record['n_images'], record['kept'], record['kept_fraction']) == (4, 3, 1)
    assert not (out / 'broken.png').exists()


def test_too_few_masks_give_a_failure(call, tmp_path, capsys):
    write_discs(tmp_path, 2)
    images, out = tmp_path / 'images', tmp_path / 'out'
    for name in 'abc':
        cv2.imwrite(str(images / f'{name}.jpg'), np.full((60, 80, 3), 90, np.uint8))
    assert call(images, out, *SMALL) == 1
    assert 'only 40% of the images have a usable mask, fewer than 60%: look at' in capsys.readouterr().err
    assert len(files_of(out)) == 5 and record_of(out)['complete']
    assert call(images, out, '--min-kept', 0.4, *SMALL) == 0


def test_region_ids_and_masks_of_a_folder(call, tmp_path):
    truths = write_discs(tmp_path, 3)
    images = tmp_path / 'images'
    assert call(images, tmp_path / 'regions', '--prior', 'region', '--options', 'max_regions=2') == 0
    image = np.ascontiguousarray(cv2.imread(str(images / '1.png'))[..., ::-1])
    found = cv2.imread(str(tmp_path / 'regions' / '1.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, RegionPrior(max_regions=2)(image))
    assert set(np.unique(found)) == {1, 2}
    assert call(images, tmp_path / 'copied', '--prior', 'folder', '--options', f'root={tmp_path / "labels"}') == 0
    for name, truth in truths.items():
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'copied' / f'{name}.png'), 0) > 0, truth)


def test_priors_that_see_features(call, tmp_path, network):
    write_discs(tmp_path, 1)
    images, seen = tmp_path / 'images', ['--weights', network, '--min-kept', 0, *SMALL_VIEW]
    backbone = dict(depth=18, base_channels=8, init_cfg=dict(type='Pretrained', checkpoint=str(network)))
    image = np.ascontiguousarray(cv2.imread(str(images / 'more' / '0.png'))[..., ::-1])
    for name, prior in (('tokencut', TokenCutPrior), ('ncut', NormalizedCutPrior), ('principal', PrincipalMaskPrior)):
        call(images, tmp_path / name, '--prior', name, *seen)
        expected = prior(backbone, image_side=128)
        found = cv2.imread(str(tmp_path / name / 'more' / '0.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(found, expected(image))
        record = record_of(tmp_path / name)
        assert record['weights'] == expected.describe()['weights'] and record['labels'] == 'unknown'
    state = torch.load(network)
    torch.save({**state, 'conv1.weight': 2 * state['conv1.weight']}, network)
    with pytest.raises(ValueError, match=f"priors.json records results with weights='{record['weights']}', but this"):
        call(images, tmp_path / 'principal', '--prior', 'principal', *seen)


def test_weights_of_priors(call, tmp_path, network):
    write_discs(tmp_path, 1)
    torch.save(dict(a=torch.zeros(1)), tmp_path / 'other.pth')
    for args, error, message in (
            (['rbd', '--weights', network], ValueError, '--weights .*resnet18.pth names a network, but the prior rbd '
             'sees no features: leave it out, or give one of spectral, tokencut, ncut, principal'),
            (['ncut'], ValueError, 'NormalizedCutPrior needs backbone: give its options by mmseg-unsup priors '
             '--weights'),
            (['ncut', '--weights', tmp_path / 'nowhere.pth'], FileNotFoundError, "no file of weights '.*nowhere.pth'"),
            (['ncut', '--weights', tmp_path / 'other.pth'], ValueError, 'other.pth holds no ResNet and no transformer '
             'of DINO.* begin with a: name an official file, or give the network by --options backbone.type')):
        with pytest.raises(error, match=message):
            call(tmp_path / 'images', tmp_path / 'out', '--prior', *args)
        assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('name, options', [
    ('tokencut', dict(out='keys', center=False, affinity_threshold=0.2)),
    ('spectral', dict(out='keys', center=False, affinity_threshold=0.2)),
    ('ncut', dict(out='keys', center=False)), ('principal', dict(out='tokens'))])
def test_a_transformer_is_seen_as_published(call, tmp_path, name, options):
    """The masks are those of the prior with these options, of the network whose keys or tokens are looked at."""
    write_discs(tmp_path, 1)
    network, path = random_vit(family='dino', patch_size=8, img_size=64), tmp_path / 'x.pth'
    torch.save(network.state_dict(), path)
    call(tmp_path / 'images', tmp_path / 'out', '--prior', name, '--weights', path, '--min-kept', 0, *SMALL_VIEW)
    prior = build_prior(dict(type=f'mmseg_unsup.{prior_configs.SHORT_NAMES[name]}', backbone=dino_vit_config(str(path)),
                             image_side=128, **options))
    image = np.ascontiguousarray(cv2.imread(str(tmp_path / 'images' / 'more' / '0.png'))[..., ::-1])
    found = cv2.imread(str(tmp_path / 'out' / 'more' / '0.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, prior(image))
    with torch.no_grad():
        seen = network.named_outputs(torch.from_numpy(prior._pixels(image)), [options['out']])[options['out']][0]
    np.testing.assert_allclose(prior.features(image), seen.numpy(), rtol=1e-5, atol=1e-5)
    assert record_of(tmp_path / 'out')['parameters']['out'] == options['out']
    mine = prior_configs.prior_config(name, dict(out='values', center=True), str(path))
    assert (mine['out'], mine['center'], mine['backbone']['family']) == ('values', True, 'dino')


def test_nested_options():
    config = prior_configs.prior_config('spectral', {'backbone.depth': 18, 'backbone.init_cfg.type': 'Pretrained'})
    assert config == dict(type='mmseg_unsup.SpectralPrior',
                          backbone=dict(depth=18, init_cfg=dict(type='Pretrained')))
    assert prior_configs.prior_config('mmseg_unsup.RBDPrior') == dict(type='mmseg_unsup.RBDPrior')
    with pytest.raises(ValueError, match=r"there is no prior 'rdb' \(did you mean rbd\?\): give one of rbd, .*, or a"):
        prior_configs.prior_config('rdb')


def test_options_keep_their_types_and_spaces(capsys):
    texts = ['a=3', 'b=0.5', 'c=250,400', 'd=ImageNet labels', 'e.f=None', 'g=my data/x=y']
    parser = make_parser('priors')
    assert parser.parse_args(['images', 'out', '--options', *texts]).options == {
        'a': 3, 'b': 0.5, 'c': [250, 400], 'd': 'ImageNet labels', 'e.f': None, 'g': 'my data/x=y'}
    for text in ('a', '=3'):
        with pytest.raises(SystemExit):
            parser.parse_args(['images', 'out', '--options', text])
        assert f"error: --options takes key=value, but '{text}' is none" in capsys.readouterr().err


def test_what_the_parser_says_of_priors_is_true():
    assert priors.PRIORS == tuple(prior_configs.SHORT_NAMES) and priors.MIN_KEPT == mask_folder.MIN_KEPT


def test_options_that_a_prior_does_not_have(call, tmp_path):
    write_discs(tmp_path, 1)
    for options, message in ((['rbd', '--options', 'max_sid=60'], 'RBDPrior has no option max_sid: give its options '
                              'by'),
                             (['RBDPrior', '--options', 'max_side=no'], 'RBDPrior cannot be made of these options: '),
                             (['folder'], 'FolderPrior needs root: give its options by mmseg-unsup priors --options '
                              'KEY')):
        with pytest.raises(ValueError, match=f'the prior mmseg_unsup.{message}'):
            call(tmp_path / 'images', tmp_path / 'out', '--prior', *options)
        assert not (tmp_path / 'out').exists()
    with pytest.raises(FileNotFoundError, match="image folder '.*imagse' does not exist: did you mean .*images?"):
        call(tmp_path / 'imagse', tmp_path / 'out')


def test_two_images_of_one_mask_are_refused(call, tmp_path):
    write_discs(tmp_path, 2)
    os.link(tmp_path / 'images' / '1.png', tmp_path / 'images' / '1.bmp')
    with pytest.raises(ValueError, match='1.bmp and .*1.png would get the same mask 1.png: rename one'):
        call(tmp_path / 'images', tmp_path / 'out')


def test_the_sample_of_the_sheet_follows_the_seed(call, tmp_path):
    write_discs(tmp_path, 14)
    sheets = []
    for seed in (0, 0, 1):
        call(tmp_path / 'images', tmp_path / 'out', '--seed', seed, *SMALL)
        sheets.append((tmp_path / 'out' / 'contact_sheet.jpg').read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_masks_inside_the_folder_of_images_are_no_images(call, tmp_path):
    write_discs(tmp_path, 3)
    images = tmp_path / 'images'
    for _ in range(2):
        assert call(images, images / 'masks', *SMALL) == 0
        assert record_of(images / 'masks')['n_images'] == 3
    before = files_of(images)
    with pytest.raises(ValueError, match='images is the folder of the images, and what is written there would take'):
        call(images, images, *SMALL)
    assert files_of(images) == before


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='starts processes by a fork')
def test_workers_end_with_the_process_that_started_them():
    processes = multiprocessing.get_context('fork')
    ours, theirs = os.pipe()

    def work():
        mask_folder.end_with_parent()
        os.write(theirs, b'w')
        time.sleep(60)

    def start_and_wait():
        processes.Process(target=work).start()
        time.sleep(60)

    middle = processes.Process(target=start_and_wait)
    middle.start()
    assert os.read(ours, 1) == b'w'
    os.close(theirs)
    start = time.monotonic()
    middle.kill()
    assert os.read(ours, 1) == b'' and time.monotonic() - start < 30  # nobody is left who could write
    middle.join()


def test_a_call_with_workers_leaves_the_threads_of_this_process(call, tmp_path):
    write_discs(tmp_path, 1)
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads[0] + 1)
    call(tmp_path / 'images', tmp_path / 'out', *SMALL)
    assert torch.get_num_threads() == threads[0] + 1 and cv2.getNumThreads() == threads[1]
    torch.set_num_threads(threads[0])


def test_scores_by_hand():
    label, mask = np.zeros((4, 5), bool), np.zeros((4, 5), bool)
    label[:2] = True  # 10 pixels
    mask[1:3, :4] = True  # 8 pixels, 4 of them right
    precision, recall = 4 / 8, 4 / 10
    expected = 1.3 * precision * recall / (0.3 * precision + recall)
    assert score_priors.mask_scores(mask, label) == pytest.approx((4 / 14, expected))
    assert score_priors.mask_scores(~label, label) == (0, 0)
    assert score_priors.mask_scores(label, label) == pytest.approx((1, 1))


def test_table_and_json(tool, tmp_path, capsys):
    truths = write_discs(tmp_path, 2)
    tool('score-priors', tmp_path / 'images', tmp_path / 'labels', '--priors', 'rbd', 'region', '--out',
         tmp_path / 'scores.json')
    rbd, region = json.loads((tmp_path / 'scores.json').read_text())['results']
    ious, errors = [], []
    for name, truth in truths.items():
        image = np.ascontiguousarray(cv2.imread(str(tmp_path / 'images' / f'{name}.png'))[..., ::-1])
        ious.append(iou(RBDPrior()(image) > 0, truth))
        errors.append(np.abs(RBDPrior().saliency(image) - truth).mean())
    assert rbd['iou'] == pytest.approx(np.mean(ious)) and rbd['mae'] == pytest.approx(np.mean(errors))
    assert rbd['kept'] == 1 and rbd['cpu_ms'] > 0 and rbd['settings']['method'] == 'RBDPrior'
    assert region['prior'] == 'region (best region)' and region['iou'] > 0.85 and region['mae'] is None
    assert f'| rbd | {np.mean(ious):.3f} | ' in capsys.readouterr().out


def test_priors_are_scored_once_per_file_of_weights(resnet18_weights):
    caffe = shared_file('weights', 'resnet50_in1k_caffe_stride.pth')
    configs = score_priors.configs_of(['rbd', 'ncut', 'spectral'], [resnet18_weights, caffe], ['pytorch', 'caffe'])
    backbones = [config.get('backbone') for config in configs.values()]
    assert backbones[0] is None and [config['type'][12:] for config in configs.values()] == [
        'RBDPrior', 'NormalizedCutPrior', 'NormalizedCutPrior', 'SpectralPrior', 'SpectralPrior']
    assert [(b['depth'], b['style'], b['init_cfg']['checkpoint']) for b in backbones[1:]] == 2 * [
        (18, 'pytorch', resnet18_weights), (50, 'caffe', caffe)]
