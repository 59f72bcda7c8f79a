"""Annotations of a predicted folder, by the command line."""
import json
import os
import os.path as osp
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.apis import made_maps
from mmseg_unsup.apis.annotations import Annotations
from mmseg_unsup.apis.image_names import ImageNames
from mmseg_unsup.apis.map_files import MapFolder
from mmseg_unsup.commands import main
from mmseg_unsup.formats import table, writing
from mmseg_unsup.utils import preemption
from ..forks import spawn
from .test_use_a_model import trained

pytest.importorskip('shapely')
pytest.importorskip('pycocotools')

FILES = ('coco.json', 'cvat.xml', 'label_studio.json')
FORMATS = ['--format', 'coco', 'cvat', 'label-studio', '--tolerance', '0']


def predicted(model, image_folder, out) -> list:
    return ['predict', *model, image_folder, '--out', out, '--device', 'cpu', *FORMATS]


def stop(*args):
    raise KeyboardInterrupt


def preempt(*args):
    raise preemption.Preempted


def test_annotations_go_on_where_they_were_stopped(image_folder, tmp_path, tool, monkeypatch, capsys):
    """While maps are made, and while they are written as annotations; later ones are the same."""
    model, out = trained(tmp_path), tmp_path / 'out'
    for owner, name in ((MapFolder, 'add'), (writing, '_draw')):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stop)
            with pytest.raises(KeyboardInterrupt):
                tool(*predicted(model, image_folder, out))
        assert not {*FILES} & {*os.listdir(out)} and not [name for name in os.listdir(out) if name.endswith('.part')]
    with monkeypatch.context() as patch:
        patch.setattr(made_maps, 'stop_alone_if_asked', preempt)
        with pytest.raises(SystemExit, match='^75$'):
            tool('convert-maps', out, *FORMATS)
    assert ''.join(capsys.readouterr()).endswith('stopped; the same command writes these formats anew\n')
    tool(*predicted(model, image_folder, out))
    assert capsys.readouterr().out.rstrip().endswith(f'{out}/coco.json, {out}/cvat.xml, {out}/label_studio.json')
    for file in FILES:
        found = dict(Annotations(str(out / file), ImageNames.of(image_folder),
                                 json.loads((out / 'predictions.json').read_text())['classes']))
        assert len(found) == 8
        for name, ids in found.items():
            assert (ids == np.asarray(Image.open(out / 'maps' / f'{name}.png'))).all()
    before = [(out / file).read_bytes() for file in FILES]
    for file in FILES:
        os.remove(out / file)
    tool('convert-maps', out, *FORMATS)
    assert [(out / file).read_bytes() for file in FILES] == before
    assert f'8 images, 5 classes: {out}/coco.json' in capsys.readouterr().out


def convert_slowly(rank, out, go):
    """Draws nothing before a file is there, or a signal came."""
    draw = writing._draw

    def draw_later(*args):
        while not (osp.exists(go) or preemption._listener.received):
            time.sleep(0.01)
        return draw(*args)

    writing._draw = draw_later
    raise SystemExit(main(['convert-maps', out, *FORMATS, '--workers', '1']))


def parts(out) -> list:
    return [name for name in os.listdir(out) if name.endswith('.part')]


@pytest.mark.long
def test_two_commands_and_a_signal(image_folder, tmp_path, tool, monkeypatch):
    """The second command waits for the first one, and does not take its files for those of a killed one; SIGTERM ends
    it between two images."""
    out = tmp_path / 'out'
    tool(*predicted(trained(tmp_path), image_folder, out))
    before = [(out / file).read_bytes() for file in FILES]
    monkeypatch.setattr(made_maps, 'stop_alone_if_asked', (tmp_path / 'go').touch)  # as it is called by who waits
    for ends_at_once in (True, False):
        slow, = spawn(convert_slowly, (str(out), str(tmp_path / 'go')), join=False).processes
        while not parts(out) and slow.is_alive():
            time.sleep(0.01)
        if ends_at_once:
            slow.terminate()
        else:
            tool('convert-maps', out, *FORMATS)
            assert (tmp_path / 'go').exists()  # it has waited
        slow.join()
        assert slow.exitcode == (75 if ends_at_once else 0)
        assert not parts(out) and [(out / file).read_bytes() for file in FILES] == before


def test_maps_that_are_gone(image_folder, tmp_path, tool):
    out = tmp_path / 'out'
    command = 'predict', *trained(tmp_path), image_folder, '--out', out, '--device', 'cpu'
    tool(*command)
    before = {*os.listdir(out)}
    for folder, formats in (('overlays', ['coco', 'video']), ('maps', ['coco', 'yolo'])):
        path = next((out / folder / 'more').glob('*.*'))
        path.unlink()
        with pytest.raises(FileNotFoundError, match=f'{folder}/more/.* is gone: give the command that wrote it again'):
            tool('convert-maps', out, '--format', *formats)
        assert {*os.listdir(out)} == before
    tool('convert-maps', tool(*command) or out, '--format', 'cityscapes', 'cityscapes')  # twice is once


def test_what_cannot_be_converted(image_folder, tmp_path, tool, monkeypatch):
    model, out = trained(tmp_path), tmp_path / 'out'
    with pytest.raises(FileNotFoundError, match='^there are no finished maps in .*out, which would have pred'):
        tool('convert-maps', out, '--format', 'coco')
    first = sorted(os.listdir(image_folder))[0]
    shutil.copy(osp.join(image_folder, first), osp.join(image_folder, f'{osp.splitext(first)[0]}.jpeg'))
    with pytest.raises(ValueError, match='^the format yolo has one file for .*: rename one of the images'):
        tool('predict', *model, image_folder, '--out', out, '--format', 'coco', 'yolo')
    monkeypatch.setattr(table, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='^the format coco needs pycocotools, which is not installed. Run: '):
        tool('predict', 'no-model', image_folder, '--out', out, '--format', 'coco')
    assert not out.exists()
    (out / 'progress').mkdir(parents=True)
    sky = dict(name='sky', color=[0, 0, 0])
    for of_class, image in ((sky, '../a.jpg'), (sky, '/a.jpg'), (sky, 5), (sky | dict(color=[0, 0, 256]), 'a.jpg'),
                            (sky | dict(color=[0]), 'a.jpg'), (sky | dict(color=[0, 0, 1.5]), 'a.jpg'),
                            (sky | dict(name='<\n>'), 'a.jpg'), (None, 'a.jpg')):
        lines = dict(settings=dict(images=image_folder, classes=[of_class])), dict(image=image, found={})
        (out / 'progress' / '0-of-1.jsonl').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
        (out / 'predictions.json').write_text(json.dumps(dict(images={image: {}})))
        with pytest.raises(ValueError, match='predictions.json or what is in progress beside it is damaged'):
            tool('convert-maps', out, '--format', 'coco', 'yolo')
    assert sorted(os.listdir(out)) == ['predictions.json', 'progress']


@pytest.mark.parametrize('words, message', [
    (['--format', 'kml'], "invalid choice: 'kml' (choose from"), ([], '--format'),
    (['--format', 'coco', '--tolerance', '-1'], 'a number of at least 0')])
def test_arguments(words, message, tmp_path, tool, capsys):
    with pytest.raises(SystemExit):
        tool('convert-maps', tmp_path, *words)
    assert message in capsys.readouterr().err
