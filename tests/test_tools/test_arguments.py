"""Arguments that cannot be used are refused when they are read, before hours of work or a file that is lost."""
import re

import cv2
import numpy as np
import pytest

from .test_train_and_test import config
from .test_use_a_model import trained

CONFIG = config('picie_fpn_camvid')


# name, what it needs, and the least of its numbers
NUMBERS = [
    ('predict', ['c', 'w', 'images', '--out', 'out'], {'--tile': 1, '--overlap': 0, '--batch-size': 1, '--workers': 1}),
    ('export', ['c', 'w', 'out.ts'], {'--check-images': 1}),
    ('check', ['c'], {'--workers': 1}),
    ('gallery', ['c', 'w', 'images', '--out', 'o.html'],
     {'--max-images': 1, '--places': 1, '--typical': 1}),
    ('choose-k', ['c', 'w', '--k', '3'],
     {'--images': 1, '--cells': 1, '--silhouette-cells': 2, '--seed': 0}),
    ('position', ['c', 'w'], {'--images': 2, '--seed': 0}),
    ('score-priors', ['images', 'labels'], {'--every': 1}),
    ('browse-views', ['c', 'out.png'], {'--images': 1, '--epoch': 0}),
    ('get-flops', ['c'], {'--size': 1}),  # H and W
    ('benchmark', ['c'], {'--warmup': 0, '--images': 1, '--kmeans-points': 1, '--kmeans-clusters': 1}),
    ('coco-stuff27', ['data'], {'--workers': 1}),
    ('label-subsets', ['c', 'out'], {'--seed': 0}),
    ('labels-to-masks', ['labels', 'out'], {'--objects': 0}),
]


@pytest.mark.parametrize('name, needed, numbers', NUMBERS, ids=lambda value: value if isinstance(value, str) else '')
def test_numbers(name, needed, numbers, tool, capsys):
    n_values = 2 if '--size' in numbers else 1
    for option, low in numbers.items():
        for value in (str(low - 1), 'many', '2.5'):
            with pytest.raises(SystemExit) as ended:
                tool(name, *needed, option, *[value] * n_values)
            message = f'argument {option}: it must be a whole number of at least {low}, but it is {value!r}'
            assert ended.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize('name, args', [('browse-views', ['out.gif']), ('confusion-matrix', ['w.pth', 'out.gif'])])
def test_pictures_of_no_known_kind(name, args, tool):
    with pytest.raises(ValueError, match="^the picture 'out.gif' must be a file whose name ends in "):
        tool(name, CONFIG, *args)


@pytest.fixture
def label_folder(tmp_path):
    (tmp_path / 'labels').mkdir()
    cv2.imwrite(str(tmp_path / 'labels' / 'a.png'), np.arange(12, dtype=np.uint8).reshape(3, 4))
    return tmp_path / 'labels'


def test_masks_do_not_replace_the_labels(label_folder, tool):
    before = (label_folder / 'a.png').read_bytes()
    for out in (label_folder, label_folder / '..' / 'labels'):
        with pytest.raises(ValueError, match=f'^{re.escape(str(out))} is the folder of the label maps, which masks'):
            tool('labels-to-masks', label_folder, out, '--objects', '1')
    assert (label_folder / 'a.png').read_bytes() == before


def test_objects_that_no_label_map_has(label_folder, tool, tmp_path):
    with pytest.raises(ValueError, match=r'^none of the 1 label maps holds \[12, 99\]: check the values .* 0, 1, 2, '):
        tool('labels-to-masks', label_folder, tmp_path / 'masks', '--objects', '12', '99')


def test_a_config_without_test_data(label_folder, tool, tmp_path):
    model = trained(tmp_path)
    with pytest.raises(ValueError, match='no test images to check with: give a folder of some by --images$'):
        tool('export', *model, tmp_path / 'model.ts')
    with pytest.raises(ValueError, match='^the image folder .* is a file: give a folder of images to check with$'):
        tool('export', *model, tmp_path / 'model.ts', '--images', model[0])
    with pytest.raises(ValueError, match='no test images: --from-labels needs a config whose test data have labels$'):
        tool('name', *model, tmp_path / 'clusters.json', '--from-labels', 'majority')
    page = ['gallery', *model, label_folder, '--out', tmp_path / 'page.html']
    with pytest.raises(ValueError, match=r'how label maps are read: give the names of their values \(--classes\)$'):
        tool(*page, '--labels', label_folder)
    with pytest.raises(ValueError, match='^--classes are the names of the values in the label maps of --labels'):
        tool(*page, '--classes', 'sky', 'road')
    assert not any((tmp_path / name).exists() for name in ('model.ts', 'clusters.json', 'page.html'))


def test_an_export_makes_its_folder_and_takes_no_folder_for_a_file(label_folder, tool, tmp_path):
    model = trained(tmp_path)
    images = tmp_path / 'images'
    images.mkdir()
    cv2.imwrite(str(images / 'a.png'), np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8))
    (tmp_path / 'folder.ts').mkdir()
    with pytest.raises(IsADirectoryError, match='folder.ts is a folder: give the name of a file$'):
        tool('export', *model, tmp_path / 'folder.ts', '--images', images)
    tool('export', *model, tmp_path / 'new' / 'model.ts', '--images', images)
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['model.ts']
