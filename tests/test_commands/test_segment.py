"""From a folder of images to segments."""
import json
import os
import os.path as osp
import re
import signal

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from PIL import Image

from mmseg_unsup.apis import segment_request
from mmseg_unsup.apis.prior_configs import build_prior
from mmseg_unsup.apis.segment_request import Request, default_config, prior_of, read_settings
from mmseg_unsup.commands import run_command
from mmseg_unsup.commands import segment as command_module
from mmseg_unsup.priors import RBDPrior, TokenCutPrior
from mmseg_unsup.registry import HOOKS, MODELS
from mmseg_unsup.utils import memory
from mmseg_unsup.utils.config import find_config, load_config, reference_of
from mmseg_unsup.utils.console import quiet_console
from mmseg_unsup.visualization import cluster_palette, overlay
from ..conftest import ROOT, run_log
from ..test_apis.tiny_gallery import page_data

SMALL = dict(
    picie=['model.neck.in_channels=[8,16,32,64]', 'model.neck.out_channels=16', 'model.decode_head.in_channels=16',
           'size=32'],
    maskcontrast=['model.decode_head.in_channels=64', 'model.decode_head.channels=16', 'size=32', 'eval_size=32',
                  'model.decode_head.saliency_threshold=-10'])
WIDTH = ['model.backbone.base_channels=8', 'model.backbone.stem_channels=8']
LOADERS = [f'{loader}_dataloader.{key}' for loader in ('train', 'probe')
           for key in ('num_workers=0', 'persistent_workers=False', 'batch_size=4')]


def command(method, images, out, *more, epochs=1, options=()):
    return [images, '--method', method, '--out', out, '--init', 'none', *(('--epochs', epochs) if epochs else ()),
            '--n-clusters', 3, '--workers', 1, *more, '--cfg-options', *WIDTH, *LOADERS, *SMALL[method], *options]


@pytest.fixture
def segment(tool, capsys):
    """Run the command in this process; returns what it prints."""

    def run(*args, **kwargs):
        with quiet_console():
            tool('segment', *command(*args, **kwargs))
        return capsys.readouterr().out

    return run


def write_discs(folder, count=8):
    """Images of a bright disc on a plain ground, one in a sub-folder."""
    (folder / 'more').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        image = np.full((64, 80, 3), rng.integers(40, 90, 3), np.uint8)
        cv2.circle(image, (int(rng.integers(30, 50)), 32), 16, rng.integers(160, 255, 3).tolist(), -1)
        cv2.imwrite(str(folder / ('more' if i == 0 else '') / f'{i}.png'), image)
    return folder


@pytest.fixture
def discs(tmp_path):
    return write_discs(tmp_path / 'images')


def times_of(out):
    """Of all that was written, but for the logs of the mask folder and of the calls."""
    kinds = ('.pth', '.png', '.jpg', '.html')
    return {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.suffix in kinds}


@pytest.mark.parametrize('method', ['maskcontrast', 'picie'])
def test_a_folder_becomes_maps_and_pictures(segment, discs, tmp_path, method):
    out = tmp_path / 'out'
    first = segment(method, discs, out)
    assert '8 images, ' in first and f'{out}/gallery.html' in first
    for folder, suffix in (('maps', 'png'), ('overlays', 'jpg')) + ((('masks', 'png'), ) * (method == 'maskcontrast')):
        stems = sorted(path.relative_to(out / folder).with_suffix('') for path in (out / folder).rglob(f'*.{suffix}'))
        stems = [str(stem) for stem in stems if stem.name != 'contact_sheet']
        assert stems == sorted(['more/0', *map(str, range(1, 8))]), folder
    report = json.loads((out / 'predictions.json').read_text())
    names = report['classes']
    assert names == ['background' if method == 'maskcontrast' and k == 0 else f'cluster {k}' for k in range(len(names))]
    pixels = 0
    for name, shares in report['images'].items():
        ids = np.array(Image.open(out / 'maps' / name))
        assert ids.shape == (64, 80)
        counts = np.bincount(ids.ravel(), minlength=4) / ids.size
        pixels = pixels + counts / 8
        assert shares == {names[k]: pytest.approx(share) for k, share in enumerate(counts) if share}
        if method == 'maskcontrast':  # the objects are those of the masks
            mask = np.array(Image.open((out / 'masks' / name).with_suffix('.png')))
            assert ((ids > 0) != (mask > 0)).mean() < 0.02
    shown = page_data(out / 'gallery.html')
    np.testing.assert_allclose([of['share'] for of in shown['clusters']], pixels[:len(shown['clusters'])])
    assert len(shown['clusters']) == len(report['classes']) == 3 + (method == 'maskcontrast')
    pattern = re.compile(r'<dt>Foreground</dt><dd>([\d.]+) %.*?of the masks ([\d.]+) %', re.S)
    facts = pattern.search((out / 'gallery.html').read_text())
    if method == 'maskcontrast':
        masks = [cv2.imread(str(path), 0) > 0 for path in (out / 'masks').rglob('*.png')]
        assert float(facts[1]) == pytest.approx(100 * (1 - pixels[0]), abs=0.06)
        assert float(facts[2]) == pytest.approx(100 * np.mean([mask.mean() for mask in masks if mask.any()]), abs=0.06)
    else:
        assert facts is None
    # no evaluation has made the maps before
    assert not list((out / 'train').glob('*/vis_data/*.png')) and not (out / 'train' / 'contact_sheet.png').exists()


def test_the_same_call_goes_on_and_another_is_refused(segment, discs, tmp_path):
    out = tmp_path / 'out'
    segment('picie', discs, out, epochs=None, options=['train_cfg.max_epochs=1'])
    assert (out / 'train' / 'epoch_1.pth').exists() and not (out / 'train' / 'epoch_2.pth').exists()
    written = times_of(out)
    assert segment('picie', discs, out, epochs=1).count('finished before') == 3
    assert times_of(out) == written
    for arguments, message in ((('--on-error', 'skip'), "records on_error='raise', but this call has 'skip'"),
                               (('--objects', 'components'), "records objects='image', but this call has 'compo")):
        with pytest.raises(ValueError, match=message):
            segment('picie', discs, out, *arguments)
    assert times_of(out) == written
    # more epochs go on with the training, and only the maps are made anew
    again = segment('picie', discs, out, epochs=2)
    assert again.count('finished before') == 1 and 'images: finished before' in again and 'train: goes on, ' in again
    resumed = torch.load(out / 'train' / 'epoch_2.pth', weights_only=False)
    assert resumed['meta']['epoch'] == 2 and times_of(out)[out / 'train' / 'epoch_1.pth'] == \
        written[out / 'train' / 'epoch_1.pth']
    with pytest.raises(ValueError, match='records a training of 2 epochs, but this call has 1: use another --out'):
        segment('picie', discs, out)


NAMES = ['My Photos (2024), [new]', '100', 'None', 'a=b {{ fileDirname }}', "it's 1,2"]


def test_names_arrive_as_they_are_and_what_is_written_is_no_image(segment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_discs(tmp_path / NAMES[0] / NAMES[3], 2)
    for name in NAMES[1:]:
        os.link(folder / '1.png', folder / f'{name}.png')
    os.link(folder / '1.png', folder / os.fsdecode(b'caf\xe9\n.png'))
    images = folder.relative_to(tmp_path)
    for method, out in (('picie', images), ('maskcontrast', images / 'None, [1]')):
        assert '7 images, ' in segment(method, images, out)
        assert (tmp_path / out / 'train' / 'epoch_1.pth').exists() and not (tmp_path / 'My').exists()
        shares = json.loads((tmp_path / out / 'predictions.json').read_text(encoding='utf-8'))['images']
        assert len(shares) == 7 and {f'{name}.png' for name in NAMES[1:]} < set(shares)
        assert len(list((tmp_path / out / 'maps').rglob('*.png'))) == 7
        assert (tmp_path / out / 'maps' / os.fsdecode(b'caf\xe9\n.png')).exists()


def test_a_prior_of_features_sees_the_weights_to_start_from(discs, tmp_path):
    path = str(tmp_path / 'resnet18.pth')
    torch.save(MODELS.build(dict(type='ResNet', depth=18)).state_dict(), path)
    request = Request(images=discs, out=tmp_path / 'out', prior='tokencut', init=path,
                      config='mmseg_unsup::maskcontrast/maskcontrast_deeplabv3_folder_r18.py')
    prior = build_prior(prior_of(request, read_settings(request)))
    assert isinstance(prior, TokenCutPrior) and (prior.backbone['depth'], prior.backbone['style']) == (18, 'pytorch')
    assert prior.backbone['init_cfg']['checkpoint'] == path
    assert prior_of(Request(images=discs, out=tmp_path / 'out'), None) == dict(type='mmseg_unsup.RBDPrior')


def test_what_cannot_be_is_refused_before_anything_is_made(segment, discs, tmp_path, monkeypatch):
    out, file = tmp_path / 'out', tmp_path / 'file'
    file.write_text('x')
    monkeypatch.setattr(memory, 'available_memory', lambda: 0)
    refused = [
        (('picie', tmp_path / 'nowhere', out), {}, FileNotFoundError, 'nowhere. does not exist: check the path'),
        (('picie', tmp_path / 'imagse', out), {}, FileNotFoundError, 'imagse. does not exist: did you mean .*images?'),
        (('picie', discs, out, '--n-clusters', 1), {}, ValueError, '--n-clusters 1 cannot be found in 8 images'),
        (('picie', discs, out, '--n-clusters', 0), {}, ValueError, 'give a whole number from 2 to 3276'),
        (('picie', discs, out, '--n-clusters', 40000), {}, ValueError, 'give a whole number from 2 to 3276'),
        (('maskcontrast', discs, out, '--n-clusters', 9), {}, ValueError, 'give a whole number from 1 to 8'),
        (('picie', discs, out), dict(epochs=-1), ValueError, 'the training has -1 epochs'),
        (('picie', discs, out), dict(options=['train_cfg.max_epochs=0']), ValueError, 'the training has 0 epochs'),
        (('picie', discs, out, '--init', 'None'), {}, FileNotFoundError, "no file of weights 'None': give its"),
        (('maskcontrast', discs, out, '--prior', 'rdb'), {}, ValueError, r"no prior 'rdb' \(did you mean rbd\?\)"),
        (('maskcontrast', discs, out, '--prior', 'spectral'), {}, ValueError,
         'the prior spectral sees the features of the weights to start from, but --init says that there are none'),
        (('maskcontrast', discs, out, '--method', 'picy'), {}, ValueError,
         r"there is no method 'picy' \(did you mean picie\?\): give one of maskcontrast, picie, features$"),
        (('maskcontrast', discs, out, '--objects', 'component'), {}, ValueError, r'\(did you mean components\?\)'),
        (('maskcontrast', discs, out, '--workers', -3), {}, SystemExit, '2'),
        (('picie', discs, file), {}, ValueError, '--out .*file is a file: give a folder'),
        (('picie', discs, tmp_path / os.fsdecode(b'out\xe9')), {}, ValueError, r'out\\udce9 is no UTF-8: give another'),
        (('picie', discs, out, '--config', 'none.py'), {}, FileNotFoundError, 'none.py'),
        (('picie', discs, out, '--n-clusters', 2.5), {}, SystemExit, '2'),
    ]
    for args, kwargs, error, message in refused:
        with pytest.raises(error, match=message):
            segment(*args, **kwargs)
        assert not out.exists()
    with pytest.raises(MemoryError, match='.*png has 80x64 pixels .* but only 0.0 GiB are free: cut the file'):
        segment('picie', discs, out)
    maps = tmp_path / 'maps'
    discs.rename(maps)
    with pytest.raises(ValueError, match='maps is the folder of the images, and what is written there would take'):
        segment('picie', maps, tmp_path)


def test_images_that_cannot_be_read_stop_the_call_at_once(segment, discs, tmp_path):
    out = tmp_path / 'out'
    (discs / 'broken.jpg').write_bytes(b'\xff\xd8 cut off')
    (discs / 'itself.jpg').symlink_to(discs / 'itself.jpg')
    (discs / 'tiny.png').write_bytes(cv2.imencode('.png', np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    with pytest.raises(ValueError, match='3 of 11 images cannot be read, see above: .* by --on-error skip'):
        segment('picie', discs, out)
    assert sorted(path.name for path in out.iterdir()) == ['maps', 'overlays', 'segment_folder.json',
                                                             'segment_folder.log', 'train']
    printed = segment('picie', discs, out, '--on-error', 'skip')  # as told
    assert '8 images, 3 clusters, 3 left out' in printed and 'itself.jpg: it cannot be opened' in printed
    assert len(json.loads((out / 'predictions.json').read_text())['skipped']) == 3


def test_a_stage_that_fails_comes_again(segment, discs, tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(RuntimeError) as raised:
        segment('picie', discs, out, options=['model.neck.out_channels=17'])
    assert raised.value.stage == 'train'
    assert json.loads((out / 'segment_folder.json').read_text())['finished'] == ['images']
    (out / 'segment_folder.json').write_text('')
    with pytest.raises(ValueError, match='segment_folder.json is no record of this tool: remove that file'):
        segment('picie', discs, out)


def test_weights_are_there_before_masks_are_made(segment, discs, tmp_path):
    (tmp_path / 'weights.pth').write_text('no weights')
    with pytest.raises(ValueError, match='weights.pth cannot be read as a checkpoint'):
        segment('maskcontrast', discs, tmp_path / 'out', '--init', tmp_path / 'weights.pth')
    assert not list((tmp_path / 'out').rglob('*.png'))
    assert '8 images, ' in segment('maskcontrast', discs, tmp_path / 'out')  # other weights, as told


@pytest.mark.parametrize('method', ['picie', 'maskcontrast'])
def test_fewer_images_than_a_batch_are_one_batch(segment, tmp_path, method):
    write_discs(tmp_path / 'images', 3)
    segment(method, tmp_path / 'images', tmp_path / 'out', options=['train_dataloader.batch_size=32'])
    assert torch.load(tmp_path / 'out' / 'train' / 'epoch_1.pth', weights_only=False)['meta']['iter'] == 1


def test_no_gpu_no_large_config(monkeypatch):
    for available, names in ((False, ('picie_fpn_folder_small.py', 'maskcontrast_deeplabv3_folder_r18.py')),
                             (True, ('picie_fpn_folder.py', 'maskcontrast_deeplabv3_folder.py'))):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda available=available: available)
        found = [default_config(method) for method in ('picie', 'maskcontrast')]
        assert tuple(map(osp.basename, found)) == names and all(osp.isfile(find_config(name)) for name in found)
    small, large = (load_config(osp.join(ROOT, 'configs', 'picie', name))
                    for name in ('picie_fpn_folder_small.py', 'picie_fpn_folder.py'))
    for cfg, side in ((small, 160), (large, 320)):
        views = cfg.train_dataloader.dataset.pipeline
        assert (views[0].reduce_to, views[3].size) == (2 * side, side)
        assert views[4].transforms[2].sigma == (0.05 * side / 320, side / 320)
        assert [cfg[name].dataset.pipeline[1].size for name in ('probe_dataloader', 'test_dataloader')] == [side, side]


def test_overlays_by_hand():
    image = np.full((4, 4, 3), 100, np.uint8)
    clusters = np.zeros((4, 4), np.int64)
    clusters[:, 2:] = 1
    palette = cluster_palette(2)
    drawn = overlay(image, clusters, palette, background=0, alpha=0.5)
    assert (drawn[:, 0] == 100).all() and (drawn[:, 1] == 255).all()
    np.testing.assert_allclose(drawn[:, 3], np.round(50 + palette[1] / 2)[None].repeat(4, 0), atol=1)


def test_what_the_parser_says_of_choices_is_true():
    assert command_module.METHODS == tuple(segment_request.CONFIGS)
    assert command_module.OBJECTS == segment_request.OBJECTS


def test_a_record_names_configs_wherever_the_package_lies(tmp_path):
    own = tmp_path / 'own.py'
    own.write_text('a = 1')
    assert reference_of(find_config('mmseg_unsup::picie/picie_fpn_folder')) == 'mmseg_unsup::picie/picie_fpn_folder.py'
    (tmp_path / 'link.py').symlink_to(find_config('mmseg_unsup::picie/picie_fpn_folder'))
    assert reference_of(str(tmp_path / 'link.py')) == 'mmseg_unsup::picie/picie_fpn_folder.py'
    assert reference_of(str(own)) == str(own)


def test_a_folder_of_a_former_version_goes_on(segment, discs, tmp_path):
    out = tmp_path / 'out'
    segment('picie', discs, out)
    record = json.loads((out / 'segment_folder.json').read_text())
    assert record['settings']['config'] == 'mmseg_unsup::picie/picie_fpn_folder_small.py'
    record['settings']['config'] = 'configs/picie/picie_fpn_folder_small.py'
    del record['shares']
    (out / 'segment_folder.json').write_text(json.dumps(record))
    assert segment('picie', discs, out).count('finished before') == 3
    assert 'train: goes on' in segment('picie', discs, out, epochs=2)


def lines_of(capsys):
    """What was printed, as a terminal of 80 columns and no colours shows it."""
    printed = capsys.readouterr()
    for line in (printed.out + printed.err).splitlines():
        assert line.isprintable() and len(line) <= 80, line
    return printed.out.splitlines(), printed.err.splitlines()


@pytest.mark.parametrize('method', ['maskcontrast', 'picie'])
def test_the_console_says_what_a_person_needs(discs, tmp_path, capsys, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'images').rename(tmp_path / 'My Photos')
    assert run_command('segment', [*map(str, command(method, 'My Photos', 'My Results'))]) == 0
    said, errors = lines_of(capsys)
    assert len(said) <= 40 and not errors
    assert said[0] == '8 images in My Photos, 80x64 pixels'
    assert said[1] == f'{method}, 1 epoch, 3 clusters'
    stages = ['images', *['masks'] * (method == 'maskcontrast'), 'train', 'maps']
    finished = [re.fullmatch(r'(images|weights|masks|train|maps): .*, \d+ s', line) for line in said]
    assert [match[1] for match in finished if match] == stages
    at = said.index(next(line for line in said if line.startswith('8 images, 3 clusters, in ')))
    shares = [float(line.split()[-1].rstrip('%')) for line in said[at + 1:at + 4 + (method == 'maskcontrast')]]
    assert sum(shares) == pytest.approx(100, abs=0.3) and shares == sorted(shares, reverse=True)
    assert [line.partition(':')[0] for line in said[-7:-3]] == [
        f'My Results/{name}' for name in ('gallery.html', 'overlays', 'maps', 'predictions.json')]
    assert said[-3:] == ['next:', "  mmseg-unsup name 'My Results' --name 1=sky",
                         "  mmseg-unsup predict 'My Results' OTHER_IMAGES --out OTHER_OUT"]
    log = (tmp_path / 'My Results' / 'segment_folder.log').read_text()
    assert 'System environment' not in log
    log += run_log(tmp_path / 'My Results' / 'train')
    assert 'System environment' in log and all(line in log for line in said[:-3])


def run_and_fail(capsys, *args, **kwargs):
    """Exit status, what was said, and the error."""
    status = run_command('segment', [*map(str, command(*args, **kwargs))])
    printed = capsys.readouterr()
    error, = printed.err.splitlines()
    assert 'Traceback' not in printed.out
    return status, printed.out.splitlines(), error


def test_a_stage_that_fails_says_why_at_the_end(discs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(RBDPrior, 'mask', lambda self, saliency: np.zeros(saliency.shape, np.uint8))
    status, said, error = run_and_fail(capsys, 'maskcontrast', discs, tmp_path / 'out')
    assert status == 2 and said[-1].startswith('masks: by the prior rbd')
    assert error.startswith('error: stage masks: only 0% of the images have a usable mask, fewer than 60%: look at ')
    assert 'ValueError: only 0%' in (tmp_path / 'out' / 'segment_folder.log').read_text()

    options = ['model.neck.out_channels=17']
    status, said, error = run_and_fail(capsys, 'picie', discs, tmp_path / 'out2', options=options)
    log, = (tmp_path / 'out2' / 'train').glob('*/*.log')
    assert status == 1 and error.startswith('error: stage train: RuntimeError: ') and f'(see {log})' in error
    assert 'Traceback (most recent call last)' in log.read_text()


def test_an_error_of_a_data_worker_is_one_sentence(discs, tmp_path, capsys):
    workers = [f'{name}_dataloader.num_workers=1' for name in ('train', 'probe')]
    arguments = 'picie', discs, tmp_path / 'out'
    run_command('segment', [*map(str, command(*arguments, options=workers))])
    capsys.readouterr()
    (discs / '3.png').write_bytes((discs / '3.png').read_bytes()[:99])
    status, _, error = run_and_fail(capsys, *arguments, epochs=2, options=workers)
    assert status == 2
    assert error.startswith(f'error: stage train: cannot use the image {discs / "3.png"}: it is cut off')


def test_a_signal_in_the_training(discs, tmp_path, capsys):
    """The documented status, and the same command goes on."""

    @HOOKS.register_module(force=True)
    class TerminatesHook(Hook):
        """Of a scheduler that wants its machine back."""

        def after_train_iter(self, runner, **kwargs):
            if runner.epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    words = [*map(str, command('picie', discs, tmp_path / 'out', epochs=3,
                               options=["custom_hooks=[{'type': 'mmseg_unsup.TerminatesHook'}]"]))]
    with pytest.raises(SystemExit) as ended:
        run_command('segment', words)
    assert ended.value.code == 75 and (tmp_path / 'out' / 'train' / 'preempted.pth').exists()
    assert capsys.readouterr().out.endswith('train: stopped; the same command goes on from here\n')
    TerminatesHook.after_train_iter = Hook.after_train_iter
    assert run_command('segment', words) == 0
    assert 'train: goes on' in capsys.readouterr().out
