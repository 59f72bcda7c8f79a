"""mmseg-unsup evaluate-released and join-tables on small random checkpoints and procedural scenes."""
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mmseg_unsup.analysis import evaluate_released as evaluation
from mmseg_unsup.analysis.joined_tables import join_tables
from mmseg_unsup.commands import load_command, make_parser
from mmseg_unsup.converters.released_layouts import LAYOUTS
from mmseg_unsup.datasets.transforms import ResizeForEvaluation
from mmseg_unsup.evaluation.functional import confusion_matrix
from mmseg_unsup.evaluation.protocol_cards import CARDS, HONEST
from mmseg_unsup.functional.crf import build_crf
from . import released_checkpoints as made

SIZE, N_IMAGES = 40, 3
EXACT = dict(method='exact', temperature=0.5, max_cells=400)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """A few labelled pictures that are not square, in the folders of the procedural scenes."""
    root, rng = tmp_path_factory.mktemp('scenes'), np.random.default_rng(0)
    for folder in ('images/val', 'labels/val', 'images/train', 'labels/train'):
        (root / folder).mkdir(parents=True)
    for i in range(N_IMAGES):
        image = cv2.resize(rng.integers(0, 255, (6, 9, 3), np.uint8), (90, 60), interpolation=cv2.INTER_CUBIC)
        label = cv2.resize(rng.integers(0, 6, (4, 6), np.uint8), (90, 60), interpolation=cv2.INTER_NEAREST)
        label[:5] = 255
        for split in ('val', 'train'):
            cv2.imwrite(str(root / f'images/{split}/{i}.png'), image)
            cv2.imwrite(str(root / f'labels/{split}/{i}.png'), label)
    return root


@pytest.fixture(autouse=True)
def no_workers(monkeypatch):
    monkeypatch.setattr('mmseg_unsup.presets.n_data_workers', lambda: 0)


def evaluate(tmp_path, scenes, method='stego', files=None, names=('honest', 'paper'), out='out', **changes):
    """The command in this process, on the scenes or another data set and its folder; what it writes."""
    files = made.released(method, made.transformer()) if files is None else files
    data, root = scenes if isinstance(scenes, tuple) else ('procedural_scenes', scenes)
    words = [f'{key}={value}' for key, value in dict(dict(size=SIZE), **changes).items()]
    options = ['--data', data, '--data-root', root, '--out-dir', tmp_path / out, '--cards', *names, '--set', *words]
    if method == 'cause':
        torch.save(made.transformer().state_dict(), tmp_path / 'vit.pth')
        options += ['--backbone', tmp_path / 'vit.pth']
    arguments = map(str, [method, *made.write(files, tmp_path), *options])
    load_command('evaluate-released').run(make_parser('evaluate-released').parse_args([*arguments]))
    return json.loads((tmp_path / out / 'evaluation.json').read_text())


@torch.no_grad()
def released_numbers(files, scenes, crfs=None):
    """Accuracy and mIoU of clusters and of linear probe, as eval_segmentation.py of STEGO makes them.

    Args:
        crfs: a CRF for each of the two; None for none.
    """
    vit, state = made.transformer(), files[0]['state_dict']
    mean, std = (255 * torch.tensor(values)[:, None, None] for values in ([.485, .456, .406], [.229, .224, .225]))
    counts, linear_counts = np.zeros((2, 6, 6), np.int64)
    for i in range(N_IMAGES):
        picture, label = (Image.open(scenes / f'{kind}/val/{i}.png') for kind in ('images', 'labels'))
        left = round((60 - SIZE) / 2)
        picture, label = (np.array(each.resize((60, SIZE), Image.NEAREST))[:, left:left + SIZE]
                          for each in (picture, label))
        image = ((torch.from_numpy(picture.copy()).permute(2, 0, 1) - mean) / std)[None].float()
        codes = (code_of(vit, state, image) + code_of(vit, state, image.flip(3)).flip(3)) / 2
        codes = F.interpolate(codes, (SIZE, SIZE), mode='bilinear', align_corners=False)
        scores = [torch.einsum('ndhw,kd->nkhw', F.normalize(codes, dim=1),
                               F.normalize(state['cluster_probe.clusters'], dim=1)),
                  F.conv2d(codes, state['linear_probe.weight'], state['linear_probe.bias'])]
        maps = [values[0].numpy() if crf is None else crf(picture, values[0].numpy())
                for values, crf in zip(scores, crfs or (None, None))]
        clusters, classes = (values.argmax(0) for values in maps)
        counts += confusion_matrix(np.where(clusters < 6, label, 255), np.minimum(clusters, 5), 6, 6)
        linear_counts += confusion_matrix(label, classes, 6, 6)
    from scipy.optimize import linear_sum_assignment
    return [accuracy_and_miou(counts, *linear_sum_assignment(counts, maximize=True)),
            accuracy_and_miou(linear_counts, np.arange(6), np.arange(6))]


def accuracy_and_miou(counts, rows, columns):
    right = counts[rows, columns]
    return 100 * right.sum() / counts.sum(), 100 * np.mean(right / (counts.sum(1) + counts.sum(0)[columns] - right))


def code_of(vit, state, image):
    features = vit(image)[0]
    hidden = F.conv2d(features, state['net.cluster2.0.weight'], state['net.cluster2.0.bias']).relu()
    return (F.conv2d(features, state['net.cluster1.0.weight'], state['net.cluster1.0.bias'])
            + F.conv2d(hidden, state['net.cluster2.2.weight'], state['net.cluster2.2.bias']))


def test_the_paper_card_gives_the_number_of_the_released_evaluation(tmp_path, scenes):
    files = made.released('stego', made.transformer(), n_clusters=8)  # two of them extra
    report = evaluate(tmp_path, scenes, files=files, crf=None)
    honest, honest_linear, *papers = (row['scores'] for row in report['rows'])
    for paper, (accuracy, miou) in zip(papers, released_numbers(files, scenes), strict=True):
        assert paper['aAcc'] == pytest.approx(accuracy, abs=0.01) and paper['mIoU'] == pytest.approx(miou, abs=0.01)
    assert honest['counted'] == honest_linear['counted'] == papers[1]['counted'] == 100 > papers[0]['counted']
    table = (tmp_path / 'out/evaluation.md').read_text()
    for row in ('STEGO | honest, size=40, crf=None', 'STEGO, linear | stego, size=40, crf=None, linear'):
        assert f'| {row} |' in table
    assert '| extra_clusters * | wrong | wrong | dropped | dropped |' in table
    chosen, probed = 'chose the checkpoint', 'trained the linear probe, chose the checkpoint'
    assert f'| labels * | {chosen} | {probed} | {chosen} | {probed} |' in table
    assert [card['name'] for card in report['cards']] == [
        f'{name}, size=40, crf=None{linear}' for name in ('honest', 'stego') for linear in ('', ', linear')]
    path = str(tmp_path / 'out/evaluation.json')
    with pytest.raises(ValueError, match='differ in absent_classes .*, matching .hungarian and identity., labels'):
        join_tables([path], ['mIoU'])
    joined = join_tables([path], ['mIoU'], 'honest, size=40, crf=None, linear')
    assert joined.count('STEGO') == 1 and f'| {honest_linear["mIoU"]:.2f} |' in joined


def test_the_crf_of_a_linear_probe_has_the_scale_of_logits(tmp_path, scenes):
    files = made.released('stego', made.transformer())
    report = evaluate(tmp_path, scenes, files=files, crf=EXACT, names=['paper'])
    crfs = [build_crf(**dict(EXACT, temperature=temperature)) for temperature in (EXACT['temperature'], 1)]
    for row, (accuracy, miou) in zip(report['rows'], released_numbers(files, scenes, crfs), strict=True):
        assert row['scores']['aAcc'] == pytest.approx(accuracy, abs=0.01)
        assert row['scores']['mIoU'] == pytest.approx(miou, abs=0.01)
    assert [card['crf']['temperature'] for card in report['cards']] == [0.5, 1]


SETS = dict(hp=['', ', linear'], smooseg=[''], cause=['', ', linear'], primaps=[', cluster', ', student', ', linear'])


@pytest.mark.parametrize('method, crf', [('hp', EXACT), ('smooseg', None), ('cause', None), ('primaps', None)])
def test_every_method_is_scored_under_both_cards(method, crf, tmp_path, scenes):
    report = evaluate(tmp_path, scenes, method, crf=crf)
    assert [row['name'] for row in report['rows']] == 2 * [LAYOUTS[method].title + name for name in SETS[method]]
    assert all(0 < row['scores']['mIoU'] < 100 for row in report['rows'])
    labels = CARDS[method].labels
    assert {card['labels'] for card in report['cards']} == {
        f'trained the linear probe, {labels}' if name == ', linear' else labels for name in SETS[method]}


def test_a_linear_probe_of_other_classes_gets_no_row(tmp_path, scenes, monkeypatch):
    said = []
    monkeypatch.setattr(evaluation, 'say', said.append)
    data = tmp_path / 'data.py'
    data.write_text("_base_ = 'mmseg_unsup::_base_/datasets/procedural_scenes.py'\n"
                    "test_dataloader = dict(dataset=dict(type='mmseg_unsup.LabelledDataset', img_suffix='.png', "
                    "metainfo=dict(classes=list('abcdefg'))))\n")
    report = evaluate(tmp_path, (str(data), scenes), names=['honest'])
    assert [row['name'] for row in report['rows']] == ['STEGO'] and len(report['cards']) == 1
    assert said[0] == 'the linear probe of the checkpoint is of 6 classes, LabelledDataset has 7: it gets no row'


def test_the_transformer_head_of_cause_needs_squares_of_its_size(tmp_path, scenes):
    files = made.released('cause_tr', made.transformer())
    with pytest.raises(ValueError, match='positions of 25 cells, those of squares of 40 px, but the card shows it the '
                       'whole image at 40 px: give --set size=40 "frame=centre square"'):
        evaluate(tmp_path, scenes, 'cause', files, crf=None)
    assert not (tmp_path / 'out').exists()
    report = evaluate(tmp_path, scenes, 'cause', files, crf=None, frame='centre square')
    assert len(report['rows']) == 4 and all(row['scores']['aAcc'] > 0 for row in report['rows'])


def test_nearest_is_that_of_pillow_and_of_torchvision():
    rng = np.random.default_rng(1)
    for height, width, size in ((61, 97, 40), (97, 61, 40), (30, 41, 64), (50, 50, 40)):
        image, label = rng.integers(0, 255, (height, width, 3), np.uint8), rng.integers(0, 9, (height, width), np.uint8)
        scale = size / min(height, width)
        shape = int(width * scale), int(height * scale)
        top, left = (int(round((side - size) / 2)) for side in reversed(shape))
        found = ResizeForEvaluation(size, interpolation='nearest').transform(
            dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map']))
        for key, array in (('img', image), ('gt_seg_map', label)):
            expected = np.array(Image.fromarray(array).resize(shape, Image.NEAREST))[top:top + size, left:left + size]
            np.testing.assert_array_equal(found[key], expected)
        assert found['ori_shape'] == found['img_shape'] == (size, size)


def test_bilinear_has_no_antialias():
    image = np.random.default_rng(2).integers(0, 255, (60, 80, 3), np.uint8)
    found = ResizeForEvaluation(20, interpolation='bilinear').transform(dict(img=image))['img']
    expected = F.interpolate(torch.from_numpy(image).permute(2, 0, 1)[None].float(), (20, 26), mode='bilinear')
    np.testing.assert_allclose(found, expected[0].permute(1, 2, 0)[:, 3:23], atol=1)


def test_tables_are_joined_only_if_they_are_alike(tmp_path, scenes):
    for name, changes in (('a', {}), ('b', {}), ('c', dict(flip=True))):
        evaluate(tmp_path, scenes, 'smooseg', out=name, names=['honest'], **changes)
    paths = {name: str(tmp_path / name / 'evaluation.json') for name in 'abc'}
    assert join_tables([paths['a'], paths['b']], ['mIoU']).count('| SmooSeg | honest, size=40 |') == 2
    with pytest.raises(ValueError, match=r'differ in flip \(no and yes\): take the rows of one card by --card NAME, '):
        join_tables(list(paths.values()), ['mIoU'])
    table = join_tables(list(paths.values()), ['mIoU'], unlike=True)
    assert '| flip * | no | yes |' in table and '| honest, size=40, flip=True |' in table
    with pytest.raises(ValueError, match="has no row of the card 'paper', but of honest, size=40: give one of these"):
        join_tables([paths['a']], ['mIoU'], card='paper')
    with pytest.raises(ValueError, match="has no score 'recall', but aAcc, mIoU"):
        join_tables([paths['a']], ['recall'])
    with pytest.raises(ValueError, match='a/evaluation.json is named twice: name each table once'):
        join_tables([paths['a'], f'{tmp_path}/b/../a/evaluation.json'], ['mIoU'])
    before = (tmp_path / 'a/evaluation.json').read_bytes()
    with pytest.raises(ValueError, match='a/evaluation.json is to be read and would be lost'):
        load_command('join-tables').run(make_parser('join-tables').parse_args([paths['a'], '--out', paths['a']]))
    assert (tmp_path / 'a/evaluation.json').read_bytes() == before


NO_TABLE = 'holds no table of rows that each have a protocol card: write it again'


@pytest.mark.parametrize('change, words', [
    (lambda table: table.update(rows=[]), NO_TABLE),
    (lambda table: table['rows'][0].update(scores=None), NO_TABLE),
    (lambda table: table['cards'].append(dict(table['cards'][0], size=80)), NO_TABLE),
    (lambda table: table['rows'][0]['scores'].update(mIoU=float('nan')), "has mIoU=nan in the row 'A', which is no "),
    (lambda table: table['rows'][0]['scores'].update(mIoU='high'), "has mIoU='high' in the row 'A', which is no score"),
    (lambda table: table['rows'][0]['scores'].update(mIoU=dict(a=1)), 'has mIoU=.* which is no score'),
    (lambda table: table['cards'][0].update(size=-3), 'a.json has a protocol card that cannot be: size .* it is -3'),
    (lambda table: table['cards'][0].update(crf=dict(method='x', a='b')), 'has a protocol card that cannot be: .*crf='),
    (lambda table: table['cards'][0].update(labels=[1]), 'labels=.1. of a protocol card must be a text')])
def test_tables_that_cannot_be(change, words, tmp_path):
    table = dict(rows=[dict(name='A', card='honest', scores=dict(mIoU=12.345))], cards=[HONEST.to_dict()],
                 data=dict(kind='X', images=3, classes=6))
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(table))
    assert '| A | honest | X, 3 images, 6 classes | 12.35 |' in join_tables([str(path)], ['mIoU'])
    change(table)
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=words):
        join_tables([str(path)], ['mIoU'])


def test_what_does_not_fit_is_said_before_the_work(tmp_path, scenes):
    for folder, suffix in (('images', 'jpg'), ('labels', 'png')):
        (tmp_path / 'camvid' / folder / 'val').mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'camvid' / folder / f'val/a.{suffix}'), np.zeros((9, 9), np.uint8))
    with pytest.raises(ValueError, match="card 'stego, size=40' does not fit: it is for the 6 classes .* but CamVid"):
        evaluate(tmp_path, ('camvid', tmp_path / 'camvid'))
    with pytest.raises(ValueError, match='UnlabelledFolder has no labels, which every protocol card needs'):
        evaluate(tmp_path, ('folder', scenes / 'images'))
    with pytest.raises(FileNotFoundError, match='/nowhere. of the data does not exist: give --data-root FOLDER'):
        evaluate(tmp_path, ('camvid', tmp_path / 'nowhere'))
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError):
        evaluate(tmp_path, scenes, out='file/out')
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken' / 'model.pth').touch()
    with pytest.raises(FileExistsError, match='taken/model.pth is there already'):
        evaluate(tmp_path, scenes, out='taken')
    assert not (tmp_path / 'out').exists()
    with pytest.raises(ValueError, match="there is no protocol card 'stegg' .did you mean stego.*or paper for hp"):
        evaluation.chosen_cards('hp', ['stegg'])
    with pytest.raises(ValueError, match="there is no field of a protocol card to change 'checkpoint'"):
        evaluation.chosen_cards('hp', ['paper'], dict(checkpoint='last'))
    with pytest.raises(ValueError, match='--cards names hp twice'):
        evaluation.chosen_cards('hp', ['paper', 'hp'])
    for changes, words in ((dict(matching='majority'), 'matching=majority do not go together'),
                           (dict(absent_classes='left out'), 'absent_classes=left out and .* do not go together'),
                           (dict(matching='identity'), 'leave matching=identity out')):
        with pytest.raises(ValueError, match=words):
            evaluate(tmp_path, scenes, **changes)
    assert not (tmp_path / 'out').exists()


def test_a_crf_that_is_not_installed(tmp_path, scenes, monkeypatch):
    monkeypatch.setattr('mmseg_unsup.functional.dense_crf.find_spec', lambda name: None)
    with pytest.raises(ImportError, match="the card 'stego, size=40' has the CRF of its paper: .* give --set crf=None"):
        evaluate(tmp_path, scenes)
    assert not (tmp_path / 'out').exists()


def test_sizes_are_whole_patches(tmp_path):
    cfg = evaluation.load_config('mmseg_unsup::_base_/released.py')
    for patch, size in ((8, 320), (14, 322), (16, 320)):
        cfg.model.backbone.backbone.patch_size = patch
        assert evaluation._whole_patches(HONEST, cfg) == replace(HONEST, size=size)


def test_the_table_is_printed_and_not_overwritten(tmp_path, scenes, capsys):
    evaluate(tmp_path, scenes, names=['honest'])
    printed = capsys.readouterr().out
    assert '| STEGO | honest, size=40 |' in printed and '| crf | none |' in printed
    with pytest.raises(FileExistsError, match='evaluation.json is there already'):
        evaluate(tmp_path, scenes)
