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
def released_numbers(files, scenes):
    """Accuracy and mIoU as eval_segmentation.py of STEGO makes them, without its CRF."""
    vit, state = made.transformer(), files[0]['state_dict']
    mean, std = (255 * torch.tensor(values)[:, None, None] for values in ([.485, .456, .406], [.229, .224, .225]))
    counts = np.zeros((6, 6), np.int64)
    for i in range(N_IMAGES):
        picture, label = (Image.open(scenes / f'{kind}/val/{i}.png') for kind in ('images', 'labels'))
        left = round((60 - SIZE) / 2)
        picture, label = (np.array(each.resize((60, SIZE), Image.NEAREST))[:, left:left + SIZE]
                          for each in (picture, label))
        image = ((torch.from_numpy(picture.copy()).permute(2, 0, 1) - mean) / std)[None].float()
        codes = (code_of(vit, state, image) + code_of(vit, state, image.flip(3)).flip(3)) / 2
        codes = F.normalize(F.interpolate(codes, (SIZE, SIZE), mode='bilinear', align_corners=False), dim=1)
        clusters = torch.einsum('ndhw,kd->nkhw', codes, F.normalize(state['cluster_probe.clusters'], dim=1)).argmax(1)
        kept = np.where(clusters[0] < 6, label, 255)
        counts += confusion_matrix(kept, np.minimum(clusters[0].numpy(), 5), 6, 6)
    from scipy.optimize import linear_sum_assignment
    rows, columns = linear_sum_assignment(counts, maximize=True)
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
    honest, paper = (row['scores'] for row in report['rows'])
    accuracy, miou = released_numbers(files, scenes)
    assert paper['aAcc'] == pytest.approx(accuracy, abs=0.01) and paper['mIoU'] == pytest.approx(miou, abs=0.01)
    assert honest['counted'] == 100 > paper['counted']
    table = (tmp_path / 'out/evaluation.md').read_text()
    assert '| STEGO | honest, size=40, crf=None |' in table and '| extra_clusters * | wrong | dropped |' in table
    assert [card['name'] for card in report['cards']] == ['honest, size=40, crf=None', 'stego, size=40, crf=None']


@pytest.mark.parametrize('method, crf', [('hp', EXACT), ('smooseg', None), ('cause', None), ('primaps', None)])
def test_every_method_is_scored_under_both_cards(method, crf, tmp_path, scenes):
    report = evaluate(tmp_path, scenes, method, crf=crf)
    expected = ['PriMaPs, cluster', 'PriMaPs, student'] if method == 'primaps' else [LAYOUTS[method].title]
    assert [row['name'] for row in report['rows']] == 2 * expected
    assert all(0 < row['scores']['mIoU'] < 100 for row in report['rows'])
    assert {card['labels'] for card in report['cards']} == {CARDS[method].labels}


def test_the_transformer_head_of_cause_needs_squares_of_its_size(tmp_path, scenes):
    files = made.released('cause_tr', made.transformer())
    with pytest.raises(ValueError, match='positions of 25 cells, those of squares of 40 px, but the card shows it the '
                       'whole image at 40 px: give --set size=40 "frame=centre square"'):
        evaluate(tmp_path, scenes, 'cause', files, crf=None)
    assert not (tmp_path / 'out').exists()
    report = evaluate(tmp_path, scenes, 'cause', files, crf=None, frame='centre square')
    assert len(report['rows']) == 2 and all(row['scores']['aAcc'] > 0 for row in report['rows'])


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
        evaluate(tmp_path, scenes, out=name, names=['honest'], **changes)
    paths = {name: str(tmp_path / name / 'evaluation.json') for name in 'abc'}
    assert join_tables([paths['a'], paths['b']], ['mIoU']).count('| STEGO | honest, size=40 |') == 2
    with pytest.raises(ValueError, match=r'differ in flip \(no and yes\): take the rows of one card by --card NAME, '
                       r'or'):
        join_tables(list(paths.values()), ['mIoU'])
    table = join_tables(list(paths.values()), ['mIoU'], unlike=True)
    assert '| flip * | no | yes |' in table and '| honest, size=40, flip=True |' in table
    with pytest.raises(ValueError, match="has no row of the card 'paper', but of honest, size=40: give one of these"):
        join_tables([paths['a']], ['mIoU'], card='paper')
    with pytest.raises(ValueError, match="has no score 'recall', but aAcc, mIoU"):
        join_tables([paths['a']], ['recall'])


def test_what_does_not_fit_is_said_before_the_work(tmp_path, scenes):
    for folder, suffix in (('images', 'jpg'), ('labels', 'png')):
        (tmp_path / 'camvid' / folder / 'val').mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'camvid' / folder / f'val/a.{suffix}'), np.zeros((9, 9), np.uint8))
    with pytest.raises(ValueError, match="card 'stego, size=40' does not fit: it is for the 6 classes .* but CamVid"):
        evaluate(tmp_path, ('camvid', tmp_path / 'camvid'))
    with pytest.raises(ValueError, match='UnlabelledFolder has no labels, which every protocol card needs'):
        evaluate(tmp_path, ('folder', scenes / 'images'))
    assert not (tmp_path / 'out').exists()
    with pytest.raises(ValueError, match="there is no protocol card 'stegg' .did you mean stego.*or paper for hp"):
        evaluation.chosen_cards('hp', ['stegg'])
    with pytest.raises(ValueError, match="there is no field of a protocol card to change 'checkpoint'"):
        evaluation.chosen_cards('hp', ['paper'], dict(checkpoint='last'))
    with pytest.raises(ValueError, match='--cards names hp twice'):
        evaluation.chosen_cards('hp', ['paper', 'hp'])


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
