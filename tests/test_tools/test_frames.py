"""Videos as folders of frames, and maps of these as videos, by the command line."""
import json
import os

import cv2
import numpy as np
import pytest

from mmseg_unsup.commands import main
from mmseg_unsup.converters import frames
from mmseg_unsup.datasets.pictures import read_rgb
from mmseg_unsup.formats import video
from .test_use_a_model import trained

RATE, N_FRAMES, HEIGHT, WIDTH = 10., 50, 64, 96
NAME = 'Über den Platz'


def picture(number: int) -> np.ndarray:
    """RGB: a disc that moves by a pixel on a ground of a brightness of its own."""
    found = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
    cv2.circle(found, (20 + number, 32), 12, (255, 60, 0), -1)
    return found


def write_video(path, count=N_FRAMES, codec='MJPG') -> None:
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), RATE, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(count):
        writer.write(picture(number)[..., ::-1])
    writer.release()


@pytest.fixture
def clip(tmp_path):
    write_video(tmp_path / 'My Videos' / f'{NAME}.avi')
    return tmp_path / 'My Videos' / f'{NAME}.avi'


def cut(clip, share: float) -> None:
    content = clip.read_bytes()
    clip.write_bytes(content[:int(len(content) * share)])


def assert_frames(folder, numbers) -> None:
    assert sorted(os.listdir(folder)) == [*(f'frame_{number:06d}.jpg' for number in numbers), 'frames.json']
    for number in numbers:
        found = read_rgb(str(folder / f'frame_{number:06d}.jpg')).astype(int)
        is_disc = found[..., 0] - found[..., 2] > 128
        assert abs(np.nonzero(is_disc)[1].mean() - (20 + number)) < 0.5  # half a frame
        assert np.abs(found - picture(number)).mean() < 7


@pytest.mark.parametrize('every', [1, 7])
def test_frames(every, clip, tmp_path, tool, capsys):
    write_video(clip.with_name('other.mp4'), 15, 'mp4v')
    tool('frames', clip, clip.with_name('other.mp4'), '--out', tmp_path / 'out', '--every', every)
    assert_frames(tmp_path / 'out' / NAME, range(0, N_FRAMES, every))
    assert_frames(tmp_path / 'out' / 'other', range(0, 15, every))
    n_frames = len(range(0, N_FRAMES, every)) + len(range(0, 15, every))
    assert f'{n_frames} frames of 2 videos: {tmp_path}/out/{NAME}, ' in capsys.readouterr().out


def test_frames_go_on_where_they_were_stopped(clip, tmp_path, tool, monkeypatch, capsys):
    command = ['frames', clip, '--out', tmp_path / 'out', '--every', '5']
    write, calls = frames.write_picture, iter(range(9))
    with monkeypatch.context() as patch:
        patch.setattr(frames, 'write_picture', lambda *args: write(*args) if next(calls) < 4 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tool(*command)
    assert os.listdir(tmp_path / 'out') == [f'{NAME}.unfinished']
    with pytest.raises(ValueError, match='no image found'):  # for other commands it is not there
        tool('predict', *trained(tmp_path), tmp_path / 'out', '--out', tmp_path / 'maps')
    with pytest.raises(ValueError, match='records results with every=5, but this call has 6: use another folder'):
        tool(*command[:-1], '6')
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out' / f'{NAME}.unfinished').glob('*.jpg')}
    tool(*command)
    assert_frames(tmp_path / 'out' / NAME, range(0, N_FRAMES, 5))
    assert len(made) == 4 and {(tmp_path / 'out' / NAME / path.name).stat().st_mtime_ns for path in made} == {
        *made.values()}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').rglob('*')}
    tool(*command)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').rglob('*')} == before
    assert capsys.readouterr().out.count('10 frames of 1 video') == 2
    with pytest.raises(ValueError, match='holds something else than every 6. frame of this video: write to another'):
        tool(*command[:-1], '6')


def test_a_video_that_breaks_off(clip, tmp_path, capsys):
    cut(clip, 0.6)
    command = ['frames', str(clip), '--out', str(tmp_path / 'out')]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert f'{NAME}.avi breaks off after ' in error and ' of 50 frames: give the whole file, or keep the fr' in error
    assert not (tmp_path / 'out' / NAME).exists()
    assert main([*command, '--on-error', 'skip']) == 0
    n_frames = json.loads((tmp_path / 'out' / NAME / 'frames.json').read_text())['frames']
    assert f'after {n_frames} of 50' in error and 20 <= n_frames <= 35
    assert_frames(tmp_path / 'out' / NAME, range(n_frames))
    assert f'{n_frames} frames of 1 video' in capsys.readouterr().out


def test_what_is_no_video(clip, tmp_path, tool, capsys):
    for name, content in (('text.mp4', b'no video'), ('empty.mp4', b''), ('cut.mp4', None)):
        path = clip.with_name(name)
        write_video(path, 5, 'mp4v')
        path.write_bytes(path.read_bytes()[:-300] if content is None else content)
        assert main(['frames', str(path), '--out', str(tmp_path / 'out')]) == 2
        assert f'{name} is no video that can be read, or is cut off: give the whole' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    tool('frames', clip.with_name('text.mp4'), clip, '--out', tmp_path / 'out', '--on-error', 'skip')
    assert os.listdir(tmp_path / 'out') == [NAME]
    with pytest.raises(FileNotFoundError, match='there is no video .*platz.avi: did you mean .*Platz.avi'):
        tool('frames', clip.with_name('platz.avi'), '--out', tmp_path / 'out')
    with pytest.raises(ValueError, match=r'caf\\udce9.avi is no name in UTF-8, which OpenCV needs: rename it'):
        tool('frames', clip, clip.with_name('caf\udce9.avi'), '--out', tmp_path / 'out')  # it would end the process
    with pytest.raises(ValueError, match='frame_%06d.jpg is a picture and no video: give its folder'):
        clip.with_name('frame_%06d.jpg').write_bytes(b'')
        tool('frames', clip.with_name('frame_%06d.jpg'), '--out', tmp_path / 'out')
    with pytest.raises(ValueError, match='would have the same folder: rename one of them, or write them to two'):
        tool('frames', clip, clip.with_suffix('.avi').parent / '..' / 'My Videos' / clip.name, '--out', tmp_path)


@pytest.mark.parametrize('of_one', [False, True])
def test_maps_as_a_video(of_one, clip, tmp_path, tool, monkeypatch):
    """The overlays in the order of the frames, at the speed of the video; also of the folder of one video."""
    tool('frames', clip, '--out', tmp_path / 'frames', '--every', '5')
    images, out = tmp_path / 'frames' / (NAME if of_one else ''), tmp_path / 'out'
    command = ['predict', *trained(tmp_path), images, '--out', out, '--device', 'cpu', '--format', 'video']
    with monkeypatch.context() as patch:
        patch.setattr(video, '_picture', lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tool(*command)
    assert sorted(os.listdir(out / 'videos')) == ['.written_by_mmseg_unsup']
    tool(*command)
    assert sorted(os.listdir(out / 'videos')) == ['.written_by_mmseg_unsup', f'{NAME}.mp4']
    capture = cv2.VideoCapture(str(out / 'videos' / f'{NAME}.mp4'))
    assert capture.get(cv2.CAP_PROP_FPS) == RATE / 5
    sizes = set()
    for number in range(0, N_FRAMES, 5):
        found = capture.read()[1]
        overlay = read_rgb(str(out / 'overlays' / ('' if of_one else NAME) / f'frame_{number:06d}.jpg.jpg'))
        expected = overlay[:HEIGHT, :WIDTH].astype(int)
        assert np.abs(found[:HEIGHT, :WIDTH, ::-1] - expected).mean() < 12
        sizes.add(found.shape)
    assert not capture.read()[0] and len(sizes) == 1 and sizes.pop()[1] > WIDTH


def test_images_that_are_no_frames(image_folder, tmp_path, tool):
    with pytest.raises(ValueError, match='^the format video needs frames as mmseg-unsup frames writes them, but .* has '
                                         'no frames.json of its own'):
        tool('predict', *trained(tmp_path), image_folder, '--out', tmp_path / 'out', '--format', 'video')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('rate', ['1e999', '-10', '0', '1001', '1' + 400 * '0', 'NaN', '"10"', '[' * 9999])
def test_frames_of_no_rate(rate, tmp_path):
    (tmp_path / 'frames.json').write_text(f'{{"rate": {rate}, "every": 1}}')
    with pytest.raises(ValueError, match='frames.json of its own, or a damaged one: choose another format'):
        video.check(str(tmp_path), ['frame_000000.jpg'])
    with pytest.raises(ValueError, match='is no name in UTF-8, which OpenCV needs'):
        video.check(str(tmp_path), ['caf\udce9/frame_000000.jpg'])


def test_a_video_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match='x.mp4 is no name in UTF-8'):
        with video.new_video(f'{tmp_path}/caf\udce9/x.mp4', RATE) as add:
            add(picture(0))
    with pytest.raises(OSError, match='x.mp4 cannot be written: look whether there is space, and whether OpenCV has'):
        with video.new_video(str(tmp_path / 'x.mp4'), float('nan')) as add:
            add(picture(0))
    assert not os.listdir(tmp_path)
