"""``learn``: corrected maps of a few images teach a model, which segments all of them."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from PIL import Image

import mmseg_unsup
from mmseg_unsup.apis import ClusterNames, UnsupInferencer, learn_work, load_segmentor
from mmseg_unsup.apis.learn_config import learning_config
from mmseg_unsup.apis.learn_request import LearnRequest
from mmseg_unsup.datasets.pictures import read_indexed
from mmseg_unsup.engine.hooks import ViewEpochHook
from mmseg_unsup.formats.job import Job
from mmseg_unsup.formats.writing import write_formats
from mmseg_unsup.registry import MODELS
from ..test_commands.test_segment import write_discs
from .test_inferencer import tiny_checkpoint
from .test_segment_examples import truth
from .test_segment_folder import small
from .tiny_models import RESNET

pytest.importorskip('shapely')
pytest.importorskip('pycocotools')

CLASSES = ['ground', 'disc']
SMALL = dict(size=32, options={'train_dataloader.num_workers': 0})


@pytest.fixture(scope='module')
def found(tmp_path_factory) -> Path:
    """What ``segment`` wrote of a folder of photographs."""
    place = tmp_path_factory.mktemp('place')
    images = write_discs(place / 'My Photos')
    mmseg_unsup.segment_folder(images, place / 'Fünde', **small('picie'))
    return place / 'Fünde'


@pytest.fixture
def images(found) -> Path:
    return found.parent / 'My Photos'


def correct(images: Path, folder: Path, *numbers: int) -> str:
    """Label Studio's JSON, in which these images were corrected and all others are drafts that are wrong."""
    names = [f'{i}.png' if i else 'more/0.png' for i in range(8)]
    folder.mkdir()
    job = Job(str(folder), CLASSES, np.zeros((2, 3), np.uint8), str(images))
    write_formats(['label-studio'], job, names, lambda name: labels_of(images / name), 0., 1)
    tasks = json.loads((folder / 'label_studio.json').read_text())
    for i, task in enumerate(tasks):
        if i in numbers:
            task['annotations'] = task.pop('predictions')
        else:
            task['predictions'][0]['result'] = task['predictions'][0]['result'][:1]
    (folder / 'label_studio.json').write_text(json.dumps(tasks))
    return str(folder / 'label_studio.json')


def labels_of(image: Path) -> np.ndarray:
    """1 on the disc, 0 beside it, and nothing said of the upper rows."""
    labels = truth(image)
    labels[:10] = 255
    return labels


def weights(out: Path) -> dict:
    path, = (out / 'train').glob('epoch_10.pth')
    return torch.load(path, weights_only=False)['state_dict']


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_corrected_maps_teach_the_rest(found, images, tmp_path, tool, capsys):
    labels = correct(images, tmp_path / 'corrected', 0, 3)
    options = '--size', 32, '--cfg-options', 'train_dataloader.num_workers=0', 'optim_wrapper.optimizer.lr=0.005'
    tool('learn', found, '--labels', labels, '--classes', *CLASSES, '--steps', 58, *options)
    said, out = capsys.readouterr().out, found / 'learned'
    assert '8 images in' in said and 'labels: 2 images, 8,640 of 10,240 pixels, 2 of 2 classes' in said
    assert 'begins, 60 steps, 6 an epoch' in said and 'time      about' in said and 'next: 6 images to label' in said
    assert '8 images, 2 classes, in' in said and 'sure on average; label next, the most useful first:' in said
    report = json.loads((out / 'predictions.json').read_text())
    assert report['classes'] == CLASSES and len(report['images']) == len(report['confidence']) == 8
    assert {*(path.name for path in (out / 'labels').rglob('*.png'))} == {'0.png', '3.png'}
    seen = UnsupInferencer.from_pretrained(out)
    for of_image in seen(str(images))['predictions']:
        name = str(Path(of_image['path']).relative_to(images))
        ids, wanted = np.array(Image.open(out / 'maps' / name)), truth(images / name)
        assert (ids & wanted).sum() > 0.6 * (ids | wanted).sum()  # of the disc
        if name in ('more/0.png', '3.png'):
            label = labels_of(images / name)
            np.testing.assert_array_equal(read_indexed(str(out / 'labels' / name)), label)
            np.testing.assert_array_equal(ids, np.where(label == 255, of_image['ids'], label))
        else:
            np.testing.assert_array_equal(ids, of_image['ids'])
    wanted = [entry['image'] for entry in json.loads((out / 'label_next.json').read_text())['images']]
    assert {*wanted} == {f'{i}.png' for i in (1, 2, 4, 5, 6, 7)}
    assert ClusterNames.load(str(out / 'clusters.json')).names == CLASSES
    counts = np.bincount(np.concatenate([labels_of(images / name).ravel() for name in ('more/0.png', '3.png')]))
    trained = UnsupInferencer.from_pretrained(out).model.class_weight
    assert trained.tolist() == pytest.approx([1 / math.log(1.02 + count / 8640) for count in counts[:2]], abs=1e-3)
    checkpoint = torch.load(out / 'train' / 'epoch_10.pth', weights_only=False)
    assert checkpoint['meta']['weights_seen'] == 'own labels'
    tool('convert-maps', out, '--format', 'coco')
    tool('learn', found, '--labels', labels, '--classes', *CLASSES, '--steps', 60, *options)
    said = capsys.readouterr().out
    assert all(f'{stage}: finished before' in said for stage in ('images', 'train', 'maps', 'next'))
    tool('learn', out, '--labels', out / 'coco.json', '--only', '1.png', 'more/*', '--steps', 10, *options)
    said = capsys.readouterr().out
    assert 'labels: 2 images, 10,240 of 10,240 pixels' in said
    assert (out / 'learned' / 'maps' / '7.png').is_file()


def test_no_two_classes_have_one_colour():
    """A known class keeps its colour, also where a new one stands at its place."""
    names = ClusterNames.identity('fresh', 5, '0' * 16).renamed({0: 'sky', 3: 'road'})
    classes = ['sky', 'tree', 'car', 'sign', 'road', 'wall', 'pole']
    palette = learn_work._palette(names, classes)
    assert palette[[0, 4]].tolist() == names.palette[[0, 3]].tolist()
    assert len({*map(tuple, palette.tolist())}) == len(classes)


def test_a_stopped_training_goes_on_and_other_labels_begin_anew(found, images, tmp_path, monkeypatch, capsys):
    MessageHub._instance_dict.clear()
    labels = correct(images, tmp_path / 'corrected', 0, 3)
    call = dict(SMALL, classes=CLASSES, steps=20)
    mmseg_unsup.learn_folder(found, images, labels, tmp_path / 'whole', **call)
    of_hook = ViewEpochHook.before_train_epoch

    def stop(hook, runner):
        of_hook(hook, runner)
        if runner.epoch == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ViewEpochHook, 'before_train_epoch', stop)
        mmseg_unsup.learn_folder(found, images, labels, tmp_path / 'out', **call)
    assert not (tmp_path / 'out' / 'maps').exists()
    capsys.readouterr()
    result = mmseg_unsup.learn_folder(found, images, labels, tmp_path / 'out', **call)
    assert 'train: goes on, 20 steps' in capsys.readouterr().out and result.n_labelled == 2
    assert_equal(weights(tmp_path / 'whole'), weights(tmp_path / 'out'))
    more = correct(images, tmp_path / 'more', 5)
    again = mmseg_unsup.learn_folder(found, images, [labels, more], tmp_path / 'out', **call)
    said = capsys.readouterr().out
    assert 'images: finished before' in said and 'train: begins, 20 steps' in said and again.n_labelled == 3
    fresh = mmseg_unsup.learn_folder(found, images, [more, labels], tmp_path / 'fresh', **call)
    assert_equal(weights(tmp_path / 'fresh'), weights(tmp_path / 'out'))
    assert Path(again.maps, '1.png').read_bytes() == Path(fresh.maps, '1.png').read_bytes()
    with pytest.raises(ValueError, match='learn.json records size=32, but this call has 48: use another --out'):
        mmseg_unsup.learn_folder(found, images, labels, tmp_path / 'out', **dict(call, size=48))


def request(model: str, images: Path, out: Path, **settings) -> LearnRequest:
    return LearnRequest(model=model, images=str(images), labels='labels', out=str(out), **settings)


def carrying(method: str, folder: Path, **model) -> str:
    """A checkpoint that carries its config, as trainings write them."""
    config, path = tiny_checkpoint(method, folder)
    config.model.update(model)
    torch.save(dict(torch.load(path, weights_only=True), meta=dict(cfg=config.pretty_text)), path)
    return path


def config_of(method: str, images: Path, folder: Path, n_labelled: int = 1, **settings) -> tuple:
    """Of the training, and the model that it goes on with."""
    model = carrying(method, folder)
    stored, built = load_segmentor(None, model)
    return learning_config(request(model, images, folder / 'out', **settings), stored, built, CLASSES,
                           n_labelled), built


@pytest.mark.parametrize('method, trained', [
    ('PiCIE', 'ResNet'), ('STEGO', 'mmseg_unsup.FrozenBackbone'), ('MaskContrast', 'ResNet')])
def test_what_is_taught_starts_as_the_model_at_hand(method, trained, images, tmp_path):
    """With its features; a model of objects has none of all cells, and lends its backbone."""
    cfg, model = config_of(method, images, tmp_path)
    assert cfg.model.backbone.type == trained
    taught = revert_sync_batchnorm(MODELS.build(cfg.model))
    taught.init_weights()
    image = torch.randn(1, 3, 64, 64)
    taught.eval()
    with torch.no_grad():
        if method == 'MaskContrast':
            pairs = zip(taught.backbone(image), model.backbone(image))
        else:
            pairs = zip(taught.extract_feat(image), model.predicting_feat(image))
        for found, wanted in pairs:
            torch.testing.assert_close(found, wanted)
        assert taught.decode_head(taught.extract_feat(image)).shape[1] == 2


def test_a_frozen_resnet_trains_and_a_codebook_is_refused(images, tmp_path):
    frozen = dict(type='mmseg_unsup.FrozenBackbone', backbone=dict(RESNET, norm_cfg=dict(type='BN')))
    stored, model = load_segmentor(None, carrying('PiCIE', tmp_path))
    stored.model.backbone = frozen
    asked = request(str(tmp_path / 'PiCIE.pth'), images, tmp_path / 'out')
    backbone = learning_config(asked, stored, model, CLASSES, 1).model.backbone
    assert backbone.type == 'ResNet' and backbone.norm_cfg == dict(type='SyncBN', requires_grad=True)
    assert backbone.init_cfg.checkpoint == str(tmp_path / 'PiCIE.pth')
    model.neck.reads_codes = True
    with pytest.raises(ValueError, match='the neck of .*PiCIE.pth, a LateralSumNeck, reads a codebook'):
        learning_config(asked, stored, model, CLASSES, 1)


def test_steps_and_sizes_follow_from_the_images(images, tmp_path):
    """With three images, a round of 20 steps of 8 crops has every one of them 54 times."""
    cfg, _ = config_of('PiCIE', images, tmp_path, 3)
    assert cfg.train_dataloader.dataset.dataset.times == 54
    for n_labelled, steps in ((1, 200), (10, 200), (13, 260), (5000, 400)):
        cfg, _ = config_of('PiCIE', images, tmp_path, n_labelled)
        assert cfg.train_cfg.max_epochs * cfg.train_cfg.steps_per_epoch == steps
    cfg, _ = config_of('PiCIE', images, tmp_path, 400, steps=7)
    assert cfg.train_cfg.steps_per_epoch == cfg.train_dataloader.dataset.dataset.times == 1
    assert cfg.train_dataloader.dataset.pipeline[3].crop_size == (240, 240)
    assert cfg.test_dataloader.dataset.pipeline[2].size == 240
    cfg, _ = config_of('PiCIE', images, tmp_path, size=96)
    assert cfg.train_dataloader.dataset.pipeline[2].scale[1] == cfg.test_dataloader.dataset.pipeline[2].size == 96


def test_calls_that_cannot_be(found, images, tmp_path):
    with pytest.raises(ValueError, match='epoch_1.pth is a file: give a folder for the results .--out OUT'):
        LearnRequest(model=str(found / 'train' / 'epoch_1.pth'), images=str(images), labels='labels')
    with pytest.raises(ValueError, match='/train has no maps that would say .*: give the folder of the im'):
        LearnRequest(model=str(found / 'train'), labels='labels')
    assert LearnRequest(model=str(found), labels='labels').images == str(images)
    for out in (found, found / 'train'):
        with pytest.raises(ValueError, match='is the folder of the model, which would be lost: give another'):
            LearnRequest(model=str(found), labels='labels', out=str(out))
    with pytest.raises(ValueError, match='steps must be at least 1'):
        LearnRequest(model=str(found), labels='labels', steps=0)
