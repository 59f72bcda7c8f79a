"""What of a folder is an image, and what becomes of the rest."""
import os
import os.path as osp

import pytest

from mmseg_unsup.datasets import image_files
from mmseg_unsup.datasets.image_files import MARK, check_output, find_images, mark_output


@pytest.fixture
def said(monkeypatch):
    """What the log says of folders."""
    lines = []
    monkeypatch.setattr(image_files, '_told', set())
    monkeypatch.setattr(image_files, 'say', lines.append)
    return lines


def names(root) -> list:
    return [osp.relpath(path, root) for path in find_images(str(root))]


def fill(folder, *names) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')


def test_other_kinds_are_counted_once(tmp_path, said):
    fill(tmp_path, 'a.jpg', 'a.HEIC', 'b.heic', 'c.gif', 'd.avif', 'more/e.CR2', 'notes.txt', '._a.jpg', 'more/._b.PNG')
    for _ in range(2):
        assert names(tmp_path) == ['a.jpg']
    assert said == [f'left out below {tmp_path}, as no images that are read: 2 ._* of macOS, 1 .avif, 1 .cr2, 1 .gif, '
                    '2 .heic']


def test_a_folder_of_other_kinds_alone(tmp_path, said):
    with pytest.raises(ValueError, match=r'expected files ending in .jpg, .*, .pgm$'):
        find_images(str(tmp_path))
    fill(tmp_path, 'a.HEIC', 'b.gif')
    with pytest.raises(ValueError, match='there are 1 .gif, 1 .heic, which are not read: convert them to JPEG'):
        find_images(str(tmp_path))


def test_what_is_written_is_left_out_of_the_folder_above_it(tmp_path, said):
    fill(tmp_path, 'a.jpg', 'kept/b.jpg', 'run/maps/a.jpg.png', 'run/overlays/a.jpg')
    for name in ('maps', 'overlays'):
        mark_output(str(tmp_path / 'run' / name))
    assert names(tmp_path) == ['a.jpg', 'kept/b.jpg'] and '2 folders that this package wrote' in said[0]
    # a folder that is asked for itself is what it is asked for
    assert names(tmp_path / 'run' / 'maps') == ['a.jpg.png'] and names(f'{tmp_path}/run/maps/') == ['a.jpg.png']
    assert len(said) == 1
    (tmp_path / 'link').symlink_to(tmp_path / 'run', target_is_directory=True)
    assert names(tmp_path) == ['a.jpg', 'kept/b.jpg']
    mark_output(str(tmp_path / 'run' / 'maps'))
    assert sorted(os.listdir(tmp_path / 'run' / 'maps')) == [MARK, 'a.jpg.png']


def test_the_folder_of_images_is_never_written_to(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path, target_is_directory=True)
    for same in (tmp_path, f'{tmp_path}/', tmp_path / 'x' / '..', tmp_path / 'link'):
        (tmp_path / 'x').mkdir(exist_ok=True)
        with pytest.raises(ValueError, match='is the folder of the images, and what is written there would take'):
            check_output(str(same), str(tmp_path))
    check_output(str(tmp_path / 'below'), str(tmp_path))


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes')
def test_links_to_themselves_and_pipes(tmp_path, said):
    fill(tmp_path, 'a.jpg')
    (tmp_path / 'itself.jpg').symlink_to(tmp_path / 'itself.jpg')
    (tmp_path / 'itself').symlink_to(tmp_path / 'itself')
    (tmp_path / 'round').symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / 'pipe.jpg')  # to read it would take for ever
    assert names(tmp_path) == ['a.jpg', 'itself.jpg']
