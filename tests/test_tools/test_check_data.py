"""The tool that opens every file before a run does."""
import os
import re

import cv2
import numpy as np
import pytest

from ..conftest import ROOT, run_tool, smooth_image, write_images

CONFIG = f'{ROOT}/configs/picie/picie_fpn_camvid.py'


@pytest.fixture
def root(tmp_path):
    """Four training and three validation images with labels of class 0."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 3)):
        for folder in ('images', 'labels'):
            (tmp_path / 'data' / folder / split).mkdir(parents=True)
        for i in range(count):
            name = f'{split}{i}'
            cv2.imwrite(str(tmp_path / 'data/images' / split / f'{name}.jpg'), smooth_image(rng, 60, 80))
            cv2.imwrite(str(tmp_path / 'data/labels' / split / f'{name}.png'), np.zeros((60, 80), np.uint8))
    return tmp_path / 'data'


def check(root, *args, config=CONFIG, options=()):
    done = run_tool('check_data.py', config, '--workers', 2, *args, '--cfg-options', f'data_root={root}', *options,
                    check=False)
    *lines, summary = done.stdout.splitlines()
    return done.returncode, lines, re.sub(r' in [\d.]+ s:', ':', summary)


def test_good_data(root):
    assert check(root) == (0, [], '7 images checked: no problem')


def test_every_kind_of_fault(root, tmp_path):
    image, label = (lambda name, kind=kind, suffix=suffix: str(root / kind / name[:-1] / f'{name}.{suffix}')
                    for kind, suffix in (('images', 'jpg'), ('labels', 'png')))
    with open(image('train1'), 'r+b') as file:
        file.truncate(os.path.getsize(image('train1')) // 2)
    open(image('train2'), 'w').close()
    cv2.imwrite(label('val0'), np.full((60, 80), 77, np.uint8))
    cv2.imwrite(label('val1'), np.zeros((60, 81), np.uint8))
    with open(image('val2'), 'wb') as file, open(image('train0'), 'rb') as source:
        file.write(source.read())
    status, lines, summary = check(root, '--out', tmp_path / 'problems.txt')
    expected = [
        f'image, train_dataloader: cannot use the image {image("train1")}: it is cut off',
        f'image, train_dataloader: cannot use the image {image("train2")}: it is empty',
        f'label, val_dataloader: the label map {label("val0")} holds the value(s) [77]',
        f'label, val_dataloader: the label map {label("val1")} has size (81, 60), but its image',
        f'duplicate, val_dataloader: the image {image("val2")} is the training image {image("train0")}:',
    ]
    assert status == 1 and len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected)), lines
    assert summary == '7 images checked: 1 of kind duplicate, 2 of kind image, 2 of kind label'
    assert (tmp_path / 'problems.txt').read_text().splitlines() == lines


def test_a_folder_that_is_also_predicted_is_no_duplicate(tmp_path):
    folder = write_images(tmp_path / 'images', 3)
    status, lines, summary = check(folder, config=f'{ROOT}/configs/picie/picie_fpn_folder.py')
    assert (status, lines, summary) == (0, [], '3 images checked: no problem')


def test_masks_are_checked_too(tmp_path):
    """The size of a mask is first compared when it is read with its image."""
    folder = write_images(tmp_path / 'images', 2, '.png')
    for name, size in (('more/000000000000', (72, 96)), ('000000000001', (80, 95))):
        (tmp_path / 'masks' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'masks' / f'{name}.png'), np.eye(*size, dtype=np.uint8))
    status, lines, summary = check(folder, options=[f'mask_root={tmp_path}/masks'],
                                   config=f'{ROOT}/configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py')
    assert status == 1 and len(lines) == 1, lines
    assert lines[0].startswith(f'label, train_dataloader: the mask {tmp_path}/masks/000000000001.png has size (95, 80)')
    assert summary == '2 images checked: 1 of kind label'


def test_every_mask_that_cannot_be_read_is_listed(tmp_path):
    folder = write_images(tmp_path / 'images', 3, '.png')
    (tmp_path / 'masks' / 'more').mkdir(parents=True)
    paths = [tmp_path / 'masks' / f'{name}.png' for name in ('000000000001', '000000000002', 'more/000000000000')]
    good = cv2.imencode('.png', np.eye(72, 96, dtype=np.uint8))[1].tobytes()
    for path, content in zip(paths, (b'', b'no image', good)):
        path.write_bytes(content)
    status, lines, summary = check(folder, options=[f'mask_root={tmp_path}/masks'],
                                   config=f'{ROOT}/configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py')
    assert status == 1 and summary == '3 images checked: 2 of kind label'
    assert all(line.startswith(f'label, train_dataloader: cannot use the mask {path}: ')
               for line, path in zip(lines, paths)) and len(lines) == 2, lines
