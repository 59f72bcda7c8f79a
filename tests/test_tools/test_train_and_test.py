"""The command-line tools, run as a user runs them."""
import re

import cv2
import numpy as np
import pytest

from ..conftest import NO_WORKERS, ROOT, run_log, run_tool, smooth_image, write_images

# a network of a second on 32 px views
SMALL = [
    *NO_WORKERS, 'model.backbone.base_channels=8', 'model.backbone.stem_channels=8', 'model.backbone.init_cfg=None',
    'model.neck.in_channels=[8,16,32,64]', 'model.neck.out_channels=16', 'model.decode_head.in_channels=16',
    'train_dataloader.batch_size=4', 'probe_dataloader.batch_size=4', 'val_dataloader.batch_size=4',
    'test_dataloader.batch_size=4', 'size=32'
]


def config(name: str) -> str:
    return f'{ROOT}/configs/picie/{name}.py'


@pytest.fixture
def coco_root(tmp_path):
    """Six training and three validation images in the official layout, with 182-id annotations."""
    rng = np.random.default_rng(0)
    root = tmp_path / 'coco_stuff164k'
    for split, count in (('train2017', 6), ('val2017', 3)):
        for folder in ('images', 'annotations'):
            (root / folder / split).mkdir(parents=True)
        for i in range(count):
            size = (361 + 40 * i, 400)
            cv2.imwrite(str(root / 'images' / split / f'{i:012d}.jpg'), smooth_image(rng, *size))
            fine = rng.choice([105, 124, 168, 0], (6, 5), p=[.35, .3, .3, .05])
            if i == 2:
                fine[:] = 0  # a person everywhere: not curated
            annotation = np.kron(fine, np.ones((100, 80))).astype(np.uint8)[:size[0]]
            annotation[:3] = 255
            cv2.imwrite(str(root / 'annotations' / split / f'{i:012d}.png'), annotation)
    return root


def write_curated_lists(root):
    (root / 'curated').mkdir()
    for split, ids in (('train2017', range(6)), ('val2017', range(3))):
        (root / 'curated' / f'{split}.txt').write_text(''.join(f'{i:012d}\n' for i in ids))


@pytest.mark.slow
def test_coco_stuff_trains_evaluates_and_tests(coco_root, tmp_path, tool):
    write_curated_lists(coco_root)
    options = ['--cfg-options', f'data_root={coco_root}', *SMALL, 'n_clusters=5', 'train_cfg.max_epochs=1']
    run_tool('train.py', config('picie_fpn_cocostuff'), '--work-dir', tmp_path / 'run', *options)
    trained = run_log(tmp_path / 'run')
    scores = re.findall(r'Epoch\(val\) \[(\d)\].*aAcc: ([\d.]+)  mIoU: ([\d.]+).*things_mIoU: (\S+).*view1/aAcc',
                        trained)
    assert [epoch for epoch, *_ in scores] == ['0', '1']  # before training and after the epoch
    assert 'sky-stuff' in trained and 'seconds per phase: cluster' in trained
    assert len(re.findall('init: ', trained)) == 2 and 'PretrainedInit' not in trained
    tested = run_tool('test.py', config('picie_fpn_cocostuff'), tmp_path / 'run' / 'epoch_1.pth', '--work-dir',
                      tmp_path / 'test', '--out', tmp_path / 'maps', *options).stdout
    assert 'sky-stuff' in tested and '3 images evaluated in' in tested and 'INFO' not in tested
    accuracy, miou = re.search(r'Epoch\(test\).*aAcc: ([\d.]+)  mIoU: ([\d.]+)', run_log(tmp_path / 'test')).groups()
    assert (accuracy, miou) == scores[1][1:3]
    assert len(list((tmp_path / 'maps').glob('*.png'))) == 3

    full = ['test_dataloader.dataset.pipeline.ResizeForEvaluation.protocol=full_resolution']
    arguments = ['test', config('picie_fpn_cocostuff'), tmp_path / 'run' / 'epoch_1.pth', '--work-dir',
                 tmp_path / 'test', '--out', tmp_path / 'full', *options, *full]
    with pytest.raises(ValueError, match='differ in size.*set batch_size=1'):
        tool(*arguments)
    tool(*arguments, 'test_dataloader.batch_size=1')
    written = cv2.imread(str(tmp_path / 'full' / f'{1:012d}.jpg.png'), cv2.IMREAD_UNCHANGED)
    assert written.shape[:2] == (401, 400)  # the size of the file


@pytest.mark.slow
def test_real_images_and_weights(camvid_root, resnet18_weights, tmp_path):
    """One short epoch on CamVid from ImageNet weights: every tensor lands, clusters are far from chance, and the start
    is scored alike without a training."""
    options = [*NO_WORKERS, f'data_root={camvid_root}', f'init={resnet18_weights}', 'train_cfg.max_epochs=1',
               'train_dataloader.dataset.dataset.indices=16', 'probe_dataloader.dataset.dataset.indices=16',
               'val_dataloader.dataset.indices=12', 'test_dataloader.dataset.indices=12', 'randomness.seed=1',
               *(f'default_hooks.{hook}.init_pixels=5000' for hook in ('clustering', 'fresh_kmeans'))]
    run_tool('train.py', config('picie_fpn_camvid'), '--work-dir', tmp_path, '--cfg-options', *options)
    log = run_log(tmp_path)
    assert f'init: loaded 120/120 backbone tensors from {resnet18_weights}' in log
    scores = [(float(a), float(m)) for a, m in re.findall(r'Epoch\(val\).*?aAcc: ([\d.]+)  mIoU: ([\d.]+)', log)]
    assert len(scores) == 2
    # 11 clusters drawn at random would match some 15 % of the pixels and 4 % mIoU
    assert all(accuracy > 35 and miou > 13 for accuracy, miou in scores)
    run_tool('test.py', config('picie_fpn_camvid'), 'none', '--work-dir', tmp_path / 'start', '--cfg-options', *options)
    start = run_log(tmp_path / 'start')
    accuracy, miou = re.search(r'Epoch\(test\).*?aAcc: ([\d.]+)  mIoU: ([\d.]+)', start).groups()
    assert (float(accuracy), float(miou)) == scores[0] and 'view1/' not in start


def test_curated_lists_follow_the_rule(coco_root):
    small = cv2.imread(str(coco_root / 'annotations' / 'train2017' / f'{4:012d}.png'), cv2.IMREAD_UNCHANGED)[:359]
    cv2.imwrite(str(coco_root / 'annotations' / 'train2017' / f'{4:012d}.png'), small)
    done = run_tool('dataset_converters/coco_stuff27.py', coco_root, '--workers', 1, check=False)
    expected = []
    for i in (0, 1, 3, 5):  # 2 is a person everywhere, 4 too low
        fine = cv2.imread(str(coco_root / 'annotations' / 'train2017' / f'{i:012d}.png'), cv2.IMREAD_UNCHANGED)
        if np.isin(fine, [105, 124, 168]).sum() >= 0.75 * fine.size:
            expected.append(f'{i:012d}')
    assert (coco_root / 'curated' / 'train2017.txt').read_text().split() == expected != []
    assert done.returncode == 3
    assert f'warning: train2017: {len(expected)} images' in done.stdout
    assert 'the published list has 49629 images, SHA-256 3b837594' in done.stdout


def test_converter_without_annotations(tmp_path):
    done = run_tool('dataset_converters/coco_stuff27.py', tmp_path, check=False)
    assert done.returncode == 2 and done.stdout.startswith('error: no annotation PNG in')


def test_resume_from_the_last_checkpoint_and_from_a_path(tmp_path, tool, capsys):
    root = write_images(tmp_path / 'images', 6)
    options = ['--cfg-options', f'data_root={root}', f'out={tmp_path}/maps', 'n_clusters=3', *SMALL,
               'val_dataloader.batch_size=1', 'test_dataloader.batch_size=1']
    base = [config('picie_fpn_folder'), '--work-dir', tmp_path / 'run']
    tool('train', *base, *options, 'train_cfg.max_epochs=1')
    auto = run_tool('train.py', *base, '--resume', *options, 'train_cfg.max_epochs=2',
                    'default_hooks.checkpoint.max_keep_ckpts=9', cwd=tmp_path)
    assert 'start     run/epoch_1.pth after 1 of 2 epochs' in auto.stdout and 'Loads' not in auto.stdout
    assert 'falling back to weights_only=False' not in run_log(tmp_path / 'run')
    tool('train', *base, '--resume', tmp_path / 'run' / 'epoch_1.pth', *options, 'train_cfg.max_epochs=2')
    assert 'resumed epoch: 1' in capsys.readouterr().out


def test_errors_end_the_run_with_one_sentence(tmp_path):
    done = run_tool('train.py', config('picie_fpn_folder'), '--work-dir', tmp_path, '--cfg-options',
                    f'data_root={tmp_path}/nowhere', *NO_WORKERS, check=False)
    assert done.returncode == 2 and 'Traceback' not in done.stdout
    assert f"error: the image folder '{tmp_path}/nowhere" in done.stdout.splitlines()[-1]
    assert 'set data_root' in done.stdout.splitlines()[-1]
