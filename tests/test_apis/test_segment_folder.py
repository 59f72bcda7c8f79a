"""``mmseg_unsup.segment_folder`` in scripts and notebooks."""
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

import mmseg_unsup
from mmseg_unsup.apis import checked_images, segment_work
from mmseg_unsup.apis.checked_images import check_files
from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.utils import console
from mmseg_unsup.utils.options import parse_options
from ..conftest import ROOT
from ..test_commands.test_segment import LOADERS, SMALL, WIDTH, write_discs


def small(method: str) -> dict:
    """Arguments that make a call small."""
    options = parse_options([*WIDTH, *LOADERS, *SMALL[method]])
    return dict(method=method, n_clusters=3, init='none', epochs=1, workers=1, options=options)


def test_a_call_returns_what_it_found_and_leaves_the_process_as_it_was(tmp_path, capsys):
    images, out = write_discs(tmp_path / 'images'), tmp_path / 'out'
    (images / 'broken.jpg').write_bytes(b'\xff\xd8 cut off')

    def state():
        return (MMLogger.get_current_instance(), {*MMLogger._instance_dict}, console._is_quiet, warnings.showwarning,
                [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)])

    before = state()
    with pytest.raises(ValueError, match='1 of 9 images cannot be read'):
        mmseg_unsup.segment_folder(images, out, **small('maskcontrast'))
    assert state() == before
    found = mmseg_unsup.segment_folder(images, out, on_error='skip', **small('maskcontrast'))
    assert state() == before
    assert (found.folder, found.n_images, found.n_clusters) == (str(out), 8, 3)
    assert found.unreadable == [str(images / 'broken.jpg')]
    assert [*found.shares] == ['background', 'cluster 1', 'cluster 2', 'cluster 3']
    assert sum(found.shares.values()) == pytest.approx(1)
    assert torch.load(found.checkpoint, weights_only=False)['meta']['epoch'] == 1
    for path in (found.maps, found.overlays, found.predictions, found.gallery):
        assert os.path.exists(path) and path.startswith(str(out))
    said = capsys.readouterr().out
    assert 'train: 1 epoch, ' in said and 'System environment' not in said
    again = mmseg_unsup.segment_folder(str(images), str(out), on_error='skip', **small('maskcontrast'))
    assert again == found and 'train: finished before' in capsys.readouterr().out


def test_of_many_images_some_are_on_the_page(tmp_path, monkeypatch, capsys):
    """Maps are of all images, equal to those of a page of all; what one stop has cut goes on."""
    images = write_discs(tmp_path / 'images')
    whole = mmseg_unsup.segment_folder(images, tmp_path / 'whole', **small('picie'))
    monkeypatch.setattr(segment_work, '_MAX_SURVEYED', 3)
    for out, stopped in ((tmp_path / 'part', False), (tmp_path / 'stopped', True)):
        if stopped:
            with monkeypatch.context() as patch, pytest.raises(RuntimeError, match='full disk'):
                patch.setattr(segment_work, 'predict_folder', _fail)
                mmseg_unsup.segment_folder(images, out, **small('picie'))
            capsys.readouterr()
        part = mmseg_unsup.segment_folder(images, out, **small('picie'))
        said = capsys.readouterr().out
        assert 'maps: the page shows 3 images; now the others' in said and 'maps: 8 images' in said
        assert part.n_images == whole.n_images == 8
        assert json.loads(Path(part.predictions).read_text()) == json.loads(Path(whole.predictions).read_text())
        for path in Path(whole.maps).rglob('*.png'):
            assert path.read_bytes() == (Path(part.maps) / path.relative_to(whole.maps)).read_bytes()


def _fail(*args):
    raise RuntimeError('full disk')


def test_of_many_images_some_are_looked_at_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(checked_images, '_MAX_CHECKED', 3)
    images = write_discs(tmp_path / 'images')
    paths = find_images(str(images))
    assert check_files(paths, 'raise', 'log') == '3 of 3 can be read; the other 5 are looked at as they are used'
    assert check_files(paths[:3], 'raise', 'log') == '3 of 3 can be read'
    for number, is_seen in ((1, False), (3, True), (6, True)):
        with open(paths[number], 'rb+') as file:
            content = file.read()
            file.truncate(9)
            if is_seen:
                with pytest.raises(ValueError, match='1 of 3 images cannot be read'):
                    check_files(paths, 'raise', 'log')
            else:
                check_files(paths, 'raise', 'log')
            file.seek(0)
            file.write(content)


@pytest.mark.parametrize('argument, value, message', [
    ('method', 'picy', r"there is no method 'picy' \(did you mean picie\?\): give one of maskcontrast, picie"),
    ('on_error', 'ignore', "there is no on_error 'ignore': give one of raise, skip"),
    ('objects', 'image ', r"there is no choice of objects 'image ' \(did you mean image\?\)"),
    ('workers', -1, 'workers must be at least 1, but it is -1'),
    ('n_clusters', 2.5, '--n-clusters 2.5 cannot be found in 8 images by maskcontrast: give a whole number from 1'),
    ('epochs', 1.5, 'the training has 1.5 epochs: give a whole number of at least 1'),
    ('config', 'picie_folder.py', "there is no config 'picie_folder.py': did you mean mmseg_unsup::picie/picie_fpn"),
    ('options', {'modle.neck': None}, "the config has no 'modle': did you mean model?"),
])
def test_arguments_that_cannot_be(tmp_path, argument, value, message):
    images = write_discs(tmp_path / 'images')
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        mmseg_unsup.segment_folder(images, tmp_path / 'out', **{'init': 'none', argument: value})
    assert not (tmp_path / 'out').exists()


# a script of a user, without `if __name__ == '__main__'`; its masks are made by two processes
SCRIPT = '''
import {first}
from mmseg_unsup import segment_folder
from mmseg_unsup.apis import segment_folder as of_apis
import mmseg_unsup
assert segment_folder is of_apis is mmseg_unsup.segment_folder is mmseg_unsup.apis.segment_folder
assert callable(segment_folder) and 'segment_folder' in dir(mmseg_unsup)
print('begins')
if {runs}:
    print(segment_folder('images', 'out', **{arguments}).n_images, 'images')
'''


@pytest.mark.parametrize('first, runs', [
    ('mmseg_unsup', False), pytest.param('mmseg_unsup.apis.segment_folder', True, marks=pytest.mark.long)])
def test_a_script(tmp_path, first, runs):
    write_discs(tmp_path / 'images')
    arguments = dict(small('maskcontrast'), workers=2)
    (tmp_path / 'script.py').write_text(SCRIPT.format(first=first, runs=runs, arguments=arguments))
    done = subprocess.run([sys.executable, 'script.py'], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONPATH=ROOT))
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[0] == 'begins' and done.stdout.count('begins\n') == 1
    if runs:
        assert 'masks: by the prior rbd, in 2 workers\n' in done.stdout and done.stdout.endswith('\n8 images\n')
