"""Naming, predicting and exporting by the command line, on small models."""
import json
import os
import os.path as osp
import re
import signal
import socket
import time
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from mmseg_unsup.apis import ClusterNames, UnsupInferencer, load_segmentor
from mmseg_unsup.apis import export as library_export
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.apis.gallery import make_gallery
from mmseg_unsup.apis.predicted_folder import predict_folder
from mmseg_unsup.apis.map_files import MapFolder
from mmseg_unsup.commands import export, gallery, load_command, make_parser
from mmseg_unsup.datasets.errors import UnreadableImageError
from mmseg_unsup.engine.testing import give_names
from mmseg_unsup.evaluation.functional import matching
from mmseg_unsup.utils import memory
from mmseg_unsup.utils.console import quiet_console
from ..conftest import run_tool, smooth_image
from ..forks import spawn
from ..test_apis.test_inferencer import tiny_checkpoint
from ..test_apis.tiny_models import METHODS, K


def trained(folder, method='PiCIE'):
    """Paths of a config and a checkpoint."""
    config, weights = tiny_checkpoint(method, folder)
    config.dump(str(folder / f'{method}.py'))
    return folder / f'{method}.py', weights


def test_naming_and_merging(tmp_path, tool, capsys):
    model, path = trained(tmp_path), tmp_path / 'clusters.json'
    tool('name', *model, path)
    names = ClusterNames.load(str(path))
    assert names == ClusterNames.identity(*load_segmentor(*model)[1].cluster_identity())
    tool('name', *model, path, '--name', '3=sky', '1=road surface', '--merge', '0,4', '2,sky=air')
    names = ClusterNames.load(str(path))
    assert names.names == ['cluster 0', 'road surface', 'air'] and names.table.tolist() == [0, 1, 2, 2, 0]
    tool('name', *model, path, '--name', 'air=sky', '0=tree')
    assert ClusterNames.load(str(path)).names == ['tree', 'road surface', 'sky']
    listed = capsys.readouterr().out
    assert '|   2   |     sky      |   2 3    | #' in listed and '3 classes of 5 clusters' in listed


@pytest.mark.parametrize('options, message', [
    (['--name', f'{K}=sky'], f'there is no cluster {K}: the checkpoint has clusters 0 to {K - 1}'),
    (['--name', '0=sky', '1=sky'], "two classes have the name 'sky'"),
    (['--name', 'tree=sky'], "there is no class 'tree'"),
    (['--name', '3'], "--name '3': expected CLUSTER=NAME"),
    (['--name', '3=a', '3=b'], "--name gives 3 two names, 'a' and 'b'"),
    (['--merge', '0,9'], 'there is no cluster 9'),
    (['--merge', '0,1=road'], "two classes have the name 'road'"),
])
def test_names_that_cannot_be_given_leave_the_file(options, message, tmp_path, tool):
    model, path = trained(tmp_path), tmp_path / 'clusters.json'
    tool('name', *model, path, '--name', '2=road')
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as error:
        tool('name', *model, path, *options)
    assert path.read_bytes() == before and '\n' not in str(error.value)


def test_a_file_of_another_checkpoint_is_refused_by_all_tools(tmp_path, tool):
    images, path = tmp_path / 'x.png', tmp_path / 'clusters.json'
    cv2.imwrite(str(images), smooth_image(np.random.default_rng(0), 60, 80))
    ClusterNames.identity('view1', K, '0' * 16).save(str(path))
    before, model = path.read_bytes(), trained(tmp_path)
    for args in (['name', *model, path, '--name', '0=sky'],
                 ['predict', *model, images, '--out', tmp_path / 'out', '--clusters', path],
                 ['export', *model, tmp_path / 'model.onnx', '--clusters', path]):
        with pytest.raises(ValueError, match="has fingerprint='0000000000000000', .* belong to another checkpoint"):
            tool(*args)
    assert path.read_bytes() == before
    assert not (tmp_path / 'out').exists() and not (tmp_path / 'model.onnx').exists()


@pytest.mark.parametrize('match', ['majority', 'hungarian'])
def test_names_from_labels(match, tmp_path, tool):
    """The bright left half of every image is road, the rest tree; against a count by hand."""
    for split in ('images', 'labels'):
        (tmp_path / split / 'val').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        image = smooth_image(rng, 48, 96) // 4
        image[:, :48] += 180
        cv2.imwrite(str(tmp_path / 'images' / 'val' / f'{i}.jpg'), image)
        label = np.full((48, 96), 5, np.uint8)
        label[:, :48], label[0] = 3, 255
        cv2.imwrite(str(tmp_path / 'labels' / 'val' / f'{i}.png'), label)
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    loader = config.test_dataloader
    loader.dataset.update(type='mmseg_unsup.CamVidDataset', data_root=str(tmp_path), data_prefix=dict(
        img_path='images/val', seg_map_path='labels/val'))
    loader.update(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
    config.dump(str(tmp_path / 'config.py'))
    tool('name', tmp_path / 'config.py', weights, tmp_path / 'clusters.json', '--from-labels', match)
    names = ClusterNames.load(str(tmp_path / 'clusters.json'))
    counts = np.zeros((2, K), int)
    inferencer = UnsupInferencer(config, weights, device='cpu', show_progress=False)
    for found in inferencer(str(tmp_path / 'images'))['predictions']:
        for c, half in enumerate((found['ids'][1:, :48], found['ids'][1:, 48:])):
            counts[c] += np.bincount(half.ravel(), minlength=K)
    named = {name: of_class for name, _, of_class in names.classes if not name.startswith('cluster')}
    if match == 'majority':
        expected = {name: tuple(k for k in range(K) if counts[:, k].any() and counts[:, k].argmax() == c)
                    for c, name in enumerate(('road', 'tree'))}
        assert named == {name: clusters for name, clusters in expected.items() if clusters}
    else:
        best = max((counts[0, i] + counts[1, j], i, j) for i in range(K) for j in range(K) if i != j)
        assert named == dict(road=(best[1], ), tree=(best[2], ))


@pytest.mark.parametrize('method', METHODS)
def test_predicting_a_folder(method, image_folder, tmp_path, tool, capsys):
    model, out = trained(tmp_path, method), tmp_path / 'out'
    (tmp_path / 'images' / 'broken.jpg').write_bytes(b'no image')
    tool('predict', *model, image_folder, '--out', out, '--batch-size', 3, '--device', 'cpu', '--on-error', 'skip',
            '--tile', 60, '--overlap', 20)
    assert '8 images, 5 classes, 1 skipped' in capsys.readouterr().out
    report = json.loads((out / 'predictions.json').read_text())
    names = ['background' if method == 'MaskContrast' and k == 0 else f'cluster {k}' for k in range(K)]
    assert report['classes'] == names and 'broken.jpg' in report['skipped'][0]
    assert len(report['images']) == 8
    for name, shares in report['images'].items():
        ids = np.array(Image.open(out / 'maps' / f'{name}.png'))
        assert ids.shape == cv2.imread(str(tmp_path / 'images' / name)).shape[:2]
        counts = np.bincount(ids.ravel(), minlength=K) / ids.size
        assert shares == {names[k]: pytest.approx(counts[k]) for k in range(K) if counts[k]}
        assert (out / 'overlays' / f'{name}.jpg').exists()
    assert len(list((out / 'overlays' / 'more').iterdir())) == 1


def test_predicting_one_image_with_names(tmp_path, tool):
    model, path, image = trained(tmp_path), tmp_path / 'clusters.json', tmp_path / 'x.png'
    cv2.imwrite(str(image), smooth_image(np.random.default_rng(0), 60, 80))
    tool('name', *model, path, '--merge', '0,1,2,3,4=all')
    tool('predict', 'none', with_config(model), image, '--out', tmp_path / 'out', '--clusters', path)
    assert json.loads((tmp_path / 'out' / 'predictions.json').read_text()) == dict(
        classes=['all'], images={'x.png': {'all': 1.0}}, skipped=[])
    assert not np.array(Image.open(tmp_path / 'out' / 'maps' / 'x.png')).any()


def with_config(model):
    """A checkpoint that carries its config."""
    path = model[1].replace('.pth', '_with.pth')
    torch.save(dict(torch.load(model[1], weights_only=True), meta=dict(cfg=open(model[0]).read())), path)
    return path


def test_exporting_with_names(image_folder, tmp_path, tool, capsys):
    onnx = pytest.importorskip('onnx')
    model, path = trained(tmp_path), tmp_path / 'clusters.json'
    tool('name', *model, path, '--name', '0=sky', '--merge', '1,2')
    tool('export', *model, tmp_path / 'model.onnx', '--clusters', path, '--images', image_folder, '--check-images',
            3)
    assert '% of the pixels of 3 images equal to PyTorch; size 48, protocol full_resolution' in capsys.readouterr().out
    facts = {entry.key: entry.value for entry in onnx.load(tmp_path / 'model.onnx').metadata_props}
    assert json.loads(facts['names'])[0] == 'sky' and facts['size'] == '48'
    with pytest.raises(ValueError, match='opset 99 is not supported: choose one from 11 to 20'):
        tool('export', *model, tmp_path / 'other.onnx', '--images', image_folder, '--opset', 99)
    assert not (tmp_path / 'other.onnx').exists()


def test_an_image_larger_than_memory_is_refused_when_its_turn_comes(tmp_path, tool, monkeypatch):
    model, image, out = trained(tmp_path), tmp_path / 'images' / 'large.png', tmp_path / 'model.onnx'
    image.parent.mkdir()
    cv2.imwrite(str(image), np.zeros((2000, 3000, 3), np.uint8))
    out.write_text('old')
    monkeypatch.setattr(memory, 'available_memory', lambda: 50 * 2**20)
    cv2.imwrite(str(image.with_name('a.png')), np.zeros((60, 80, 3), np.uint8))
    for args in (['predict', *model, image, '--out', tmp_path / 'out'],
                 ['predict', *model, image.parent, '--out', tmp_path / 'out'],
                 ['predict', *model, image, '--out', tmp_path / 'other', '--tile', 512],
                 ['export', *model, out, '--images', image.parent]):
        with pytest.raises(MemoryError, match=r'large.png has 3000x2000 pixels \(6 million\), which needs about'):
            tool(*args)
    assert out.read_text() == 'old' and not [*tmp_path.glob('o*/*/large*')]


def run_folder(folder, config, checkpoint) -> str:
    """What ``mmseg-unsup segment`` leaves of a training."""
    (folder / 'train').mkdir(parents=True)
    path = str(folder / 'train' / 'epoch_1.pth')
    os.rename(with_config((config, checkpoint)), path)
    (folder / 'train' / 'last_checkpoint').write_text(path)
    return str(folder)


def test_forms_of_a_model(image_folder, tmp_path, tool):
    """[CONFIG] MODEL, options anywhere: one result."""
    config, checkpoint = trained(tmp_path)
    own, folder = with_config((config, checkpoint)), run_folder(tmp_path / 'OUT', config, checkpoint)
    torch.save(torch.load(f'{folder}/train/epoch_1.pth', weights_only=True), own)
    forms = [[config, checkpoint], [own], ['none', own], [folder], [f'{folder}/train'], [config, folder],
             ['none', folder]]
    expected = {}
    for i, form in enumerate(forms):
        out = tmp_path / str(i)
        first, *rest = form
        words = ['--out', out, first, '--batch-size', 1, *rest, image_folder]
        tool('predict', *([*form, image_folder, '--out', out] if i % 2 else words))
        found = {path.relative_to(out): path.read_bytes() for path in sorted((out / 'maps').rglob('*.png'))}
        expected = expected or found
        assert found == expected and len(found) == 8


def test_one_name_for_all_commands(image_folder, tmp_path, tool, capsys):
    """Names beside a model are used by predict, gallery and export, unless others are named."""
    folder = run_folder(tmp_path / 'OUT', *trained(tmp_path))
    tool('name', folder, '--name', '3=sky', '--merge', '1,2=land')
    assert ClusterNames.load(f'{folder}/clusters.json').names == ['cluster 0', 'land', 'sky', 'cluster 4']
    said = rf'4 classes of 5 clusters, [\d.]+ s: {folder}/clusters.json\nnext:\n  mmseg-unsup predict {folder} IMAGES'
    assert re.search(said, capsys.readouterr().out)
    for options, n_classes in (((), 4), (('--clusters', 'none'), 5)):
        tool('predict', folder, image_folder, '--out', tmp_path / f'out{n_classes}', *options)
        line = rf'8 images, {n_classes} classes, [\d.]+ s: (.*/maps), (.*/overlays), (.*/predictions.json)$'
        paths = re.search(line, capsys.readouterr().out.strip()).groups()
        assert all(map(osp.exists, paths))
        assert len(json.loads((tmp_path / f'out{n_classes}' / 'predictions.json').read_text())['classes']) == n_classes
        tool('export', folder, tmp_path / 'model.ts', '--images', image_folder, *options)
        line = r'model.ts: ([\d.]+) MB, [\d.]+ s, [\d.]+ % of the pixels of 8 images equal to PyTorch; size 48, '
        size = float(re.search(line, capsys.readouterr().out)[1])
        assert size == pytest.approx((tmp_path / 'model.ts').stat().st_size / 1e6, abs=0.05)
        facts = {'metadata.json': ''}
        torch.jit.load(tmp_path / 'model.ts', _extra_files=facts)
        assert len(json.loads(json.loads(facts['metadata.json'])['names'])) == n_classes
        tool('gallery', folder, image_folder, '--out', tmp_path / 'page.html', *options)
        page = (tmp_path / 'page.html').read_text()
        assert ('"land"' in page) == (n_classes == 4)
        assert re.search('<title>OUT: .*</title>', page) and 'epoch_1.pth of the config in it' in page
        capsys.readouterr()
    tool('name', folder, tmp_path / 'other.json')
    assert ClusterNames.load(str(tmp_path / 'other.json')).names[3] == 'cluster 3'
    tool('predict', folder, image_folder, '--out', tmp_path / 'out', '--clusters', tmp_path / 'other.json')
    assert '8 images, 5 classes' in capsys.readouterr().out


def test_names_need_a_place(tmp_path, tool):
    model = trained(tmp_path)
    for words in ([with_config(model)], ['none', with_config(model)]):
        with pytest.raises(ValueError, match=f'^{words[-1]} is no folder: say which file the names are to be writ'):
            tool('name', *words)
    tool('name', with_config(model), tmp_path / 'a.json')
    assert (tmp_path / 'a.json').is_file()


def test_test_images_of_another_machine(tmp_path, tool):
    config, checkpoint = trained(tmp_path)
    (tmp_path / 'other.py').write_text(
        f"{open(config).read()}\ntest_dataloader['dataset'].update(type='mmseg_unsup.UnlabelledFolder', "
        "data_root='/of/another')\n")
    with pytest.raises(FileNotFoundError, match="'/of/another' does not exist: .*; or give a folder of some by --"):
        tool('export', tmp_path / 'other.py', checkpoint, tmp_path / 'model.ts')


def test_choices_are_those_of_the_library():
    assert (export.OPSETS, export.DEFAULT_OPSET) == (library_export.OPSETS, library_export.DEFAULT_OPSET)
    assert gallery.CRITERIA == matching.CRITERIA


def test_a_quiet_console(image_folder, tmp_path):
    """As a user sees it in a file: the last line says what was done, and no line is of another package."""
    config, checkpoint = trained(tmp_path)
    folder = run_folder(tmp_path / 'OUT', config, checkpoint)
    (tmp_path / 'images' / 'broken.jpg').write_bytes(b'no image')
    done = run_tool('predict.py', 'OUT', 'images', '--out', 'maps of it', '--on-error', 'skip', cwd=tmp_path)
    model, skipped, last = done.stdout.splitlines()
    assert model == 'model: ' + f'{folder}/train/epoch_1.pth'.replace(str(tmp_path), '').lstrip('/')
    assert skipped.startswith('warning: left out: cannot use the image images/broken.jpg: it ')
    assert 'on_error' not in skipped
    line = r'8 images, 5 classes, 1 skipped, [\d.]+ s: maps of it/maps, maps of it/overlays, .*/predictions.json'
    assert re.fullmatch(line, last)


def test_an_unreadable_image_names_the_option(image_folder, tmp_path, tool):
    folder = run_folder(tmp_path / 'OUT', *trained(tmp_path))
    (tmp_path / 'images' / 'broken.jpg').write_bytes(b'no image')
    for command, out in (('predict', tmp_path / 'maps'), ('gallery', tmp_path / 'page.html')):
        with pytest.raises(UnreadableImageError, match='broken.jpg: it .*: replace or remove the file, or leave such '
                           'files out by --on-error skip$'):
            tool(command, folder, image_folder, '--out', out)


def test_a_tool_by_itself(tmp_path):
    """As a user calls it: the sentence is the last line."""
    model = trained(tmp_path)
    done = run_tool('predict.py', *model, tmp_path / 'nowhere', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 2 and 'error: there is no image or folder' in done.stdout.splitlines()[-1]


def test_names_reach_the_metrics_of_their_set_only(tmp_path):
    path = str(tmp_path / 'clusters.json')
    ClusterNames.identity('fresh', K, '0' * 16).save(path)
    evaluators = [dict(type='mmseg_unsup.ClusterIoUMetric', **more) for more in (
        {}, dict(prediction='fresh'), dict(prediction='view1'))]
    give_names(evaluators, path)
    assert ['clusters' in evaluator for evaluator in evaluators] == [True, True, False]
    with pytest.raises(ValueError, match="names the clusters of 'fresh', which no metric of test_evaluator reads"):
        give_names([dict(type='mmseg_unsup.ClusterIoUMetric', prediction='view1')], path)


# --- many images


def files_below(folder) -> dict:
    """Content and time of all pictures."""
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in [*folder.rglob('*.png'), *folder.rglob('*.jpg')]}


def test_predicting_goes_on_where_it_was_stopped(image_folder, tmp_path, tool, monkeypatch, capsys):
    model, out = trained(tmp_path), tmp_path / 'out'
    tool('predict', *model, image_folder, '--out', tmp_path / 'whole')
    add, added = MapFolder.add, []

    def signal_after_three(folder, *args):
        add(folder, *args)
        added.append(args[0])
        if len(added) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(MapFolder, 'add', signal_after_three)
    with pytest.raises(SystemExit) as ended, quiet_console():
        tool('predict', *model, image_folder, '--out', out)
    assert ended.value.code == 75 and 3 <= len(added) < 8 and not (out / 'predictions.json').exists()
    assert 'stopped; the same command goes on from here' in capsys.readouterr().out
    before = files_below(out)
    assert len(before) == 2 * len(added)
    cut, other = [path for path in before if path.parts[0] == 'maps'][:2]
    os.truncate(out / cut, 9)
    (out / 'maps' / 'x.jpg.png.4.part').write_bytes(b'of a process that was killed')
    with pytest.raises(ValueError, match="records results with precision='float32', but this call has 'bfloat16': use"):
        tool('predict', *model, image_folder, '--out', out, '--amp')
    n_added = len(added)
    with quiet_console():
        tool('predict', *model, image_folder, '--out', out, '--batch-size', 3)
    assert len(added) == 8 + 1 and f'{n_added - 1} of 8 images were made before' in capsys.readouterr().out
    after, whole = files_below(out), files_below(tmp_path / 'whole')
    assert after[other] == before[other] and not [*out.rglob('*.part')]
    assert {path: content for path, (content, _) in after.items()} == {
        path: content for path, (content, _) in whole.items()}
    assert (out / 'predictions.json').read_text() == (tmp_path / 'whole' / 'predictions.json').read_text()


def test_shards_give_what_one_process_gives(image_folder, tmp_path, tool, capsys):
    model, out = trained(tmp_path), tmp_path / 'out'
    tool('predict', *model, image_folder, '--out', tmp_path / 'whole')
    for shard, line in (('1/2', r'4 images, 5 classes, 4 are not made yet, by other shards, .*/maps, .*/overlays$'),
                        ('0/2', r'8 images, 5 classes, [\d.]+ s: .*/predictions.json$')):
        tool('predict', *model, image_folder, '--out', out, '--shard', shard)
        assert re.search(line, capsys.readouterr().out.strip())
    assert (out / 'predictions.json').read_text() == (tmp_path / 'whole' / 'predictions.json').read_text()
    with pytest.raises(ValueError, match='--shard 1/2 cannot go with --launcher pytorch, whose ranks are the shards'):
        tool('predict', *model, image_folder, '--out', out, '--shard', '1/2', '--launcher', 'pytorch')


def rank_of_two(rank, port, folder, models) -> None:
    """Predictions and masks on two processes; the second one begins late."""
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank), MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    init_default_scope('mmseg')
    os.chdir(folder)
    for name, args in (('predict', [*models, 'images', '--out', 'out']),
                       ('priors', ['images', 'masks', '--prior', 'region'])):
        if name == 'priors' and rank:
            time.sleep(2)
        load_command(name).run(make_parser(name).parse_intermixed_args([*args, '--launcher', 'pytorch']))
    with pytest.raises(ValueError, match='the processes disagree: .*images is'), mock.patch.object(
            ImageNames, 'digest', property(lambda names: str(rank))):
        load_command('predict').run(make_parser('predict').parse_intermixed_args(
            [*models, 'images', '--out', 'other', '--launcher', 'pytorch']))


@pytest.mark.slow
def test_two_processes_share_predictions_and_masks(image_folder, tmp_path, tool):
    model = [str(path) for path in trained(tmp_path)]
    tool('predict', *model, image_folder, '--out', tmp_path / 'whole')
    tool('priors', image_folder, tmp_path / 'whole_masks', '--prior', 'region')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    spawn(rank_of_two, (port, str(tmp_path), model), 2)
    for one, two in (('whole', 'out'), ('whole_masks', 'masks')):
        first, second = (files_below(tmp_path / folder) for folder in (one, two))
        assert {path: content for path, (content, _) in first.items()} == {
            path: content for path, (content, _) in second.items()}
    assert (tmp_path / 'out' / 'predictions.json').read_text() == (tmp_path / 'whole' / 'predictions.json').read_text()
    records = [json.loads((tmp_path / folder / 'priors.json').read_text()) for folder in ('whole_masks', 'masks')]
    timed = dict(wall_s=0, cpu_ms_per_image=0)
    assert {**records[0], **timed} == {**records[1], **timed} and records[1]['images_timed'] == 8
    assert sorted(os.listdir(tmp_path / 'out' / 'progress')) == [
        f'{rank}-of-2.{kind}' for rank in (0, 1) for kind in ('jsonl', 'lock')]


def test_the_maps_of_a_gallery_are_those_of_predict(image_folder, tmp_path, capsys):
    """Those that the page has looked at are not made again, and the others are alike."""
    config, weights = tiny_checkpoint('PiCIE', tmp_path)
    make_gallery(config, weights, image_folder, str(tmp_path / 'page.html'), max_images=3, maps=str(tmp_path / 'out'))
    inferencer = UnsupInferencer(config, weights, device='cpu', show_progress=False)
    with quiet_console():
        predict_folder(inferencer, ImageNames.of(image_folder), str(tmp_path / 'out'))
    assert '3 of 8 images were made before' in capsys.readouterr().out
    predict_folder(inferencer, ImageNames.of(image_folder), str(tmp_path / 'whole'))
    for name in ('maps', 'overlays'):
        first, second = (files_below(tmp_path / folder / name) for folder in ('out', 'whole'))
        assert {path: content for path, (content, _) in first.items()} == {
            path: content for path, (content, _) in second.items()}
