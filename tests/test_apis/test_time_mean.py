"""Maps of frames by means over time."""
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.apis.map_files import MapFolder
from mmseg_unsup.apis.picture_model import PictureModel
from mmseg_unsup.apis.time_mean import TimeMean, with_images_before
from mmseg_unsup.datasets.pictures import write_picture
from mmseg_unsup.functional import to_image_size
from ..conftest import smooth_image
from ..test_tools.test_use_a_model import trained

N_FRAMES = 3


@pytest.fixture
def frames(tmp_path):
    """Two folders of six noisy frames of a scene each; of the first the fourth one cannot be read."""
    rng = np.random.default_rng(0)
    for name in ('first', 'second'):
        scene = smooth_image(rng, 48, 64).astype(int)
        for number in range(6):
            noisy = np.clip(scene + rng.integers(-60, 60, scene.shape), 0, 255)
            write_picture(str(tmp_path / 'My Frames' / name / f'frame_{number:06d}.png'), noisy.astype(np.uint8))
    (tmp_path / 'My Frames' / 'first' / 'frame_000003.png').write_bytes(b'no image')
    return tmp_path / 'My Frames'


def maps(out) -> dict:
    return {str(path.relative_to(out)): np.array(Image.open(path)) for path in (out / 'maps').rglob('*.png')}


def expected_maps(model, frames) -> dict:
    """Frame by frame: the mean of the scores of the last three that can be read, and its winner."""
    inferencer = UnsupInferencer(*map(str, model), device='cpu', show_progress=False)
    seen = PictureModel(inferencer.model, inferencer.pipeline, tile=None, overlap=0, smooth=1, amp=False)
    found = {}
    for folder in sorted(frames.iterdir()):
        scores = []
        for path in sorted(folder.iterdir()):
            if path.stat().st_size < 100:
                continue
            picture = seen.read(str(path), 1)
            (of_image, ), (meta, ) = seen.scores([picture])
            scores.append(of_image.double())
            mean = sum(scores[-N_FRAMES:]) / len(scores[-N_FRAMES:])
            ids = to_image_size(mean, meta, inferencer.model.align_corners).argmax(0)
            found[os.path.join('maps', folder.name, path.name)] = ids.numpy()
    return found


def predict(tool, model, frames, out, *words) -> None:
    tool('predict', *model, frames, '--out', out, '--device', 'cpu', '--on-error', 'skip', *words)


def test_maps_of_means(frames, tmp_path, tool, monkeypatch):
    """Also where the work was stopped in between, with a GPU's batches, and made again in the middle."""
    model = trained(tmp_path)
    predict(tool, model, frames, tmp_path / 'out', '--smooth', N_FRAMES, '--batch-size', 4)
    found, expected, alone = maps(tmp_path / 'out'), expected_maps(model, frames), tmp_path / 'alone'
    assert found.keys() == expected.keys() and len(found) == 11
    assert all((found[name] == expected[name]).mean() > 0.999 for name in found)  # float32 against float64
    predict(tool, model, frames, alone)
    assert np.mean([(found[name] != ids).mean() for name, ids in maps(alone).items()]) > 0.02

    add, calls = MapFolder.add, iter(range(20))
    with monkeypatch.context() as patch:
        patch.setattr(MapFolder, 'add', lambda *args: add(*args) if next(calls) < 4 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            predict(tool, model, frames, tmp_path / 'stopped', '--smooth', N_FRAMES)
    predict(tool, model, frames, tmp_path / 'stopped', '--smooth', N_FRAMES)
    os.remove(tmp_path / 'stopped' / 'maps' / 'second' / 'frame_000004.png')
    shutil.rmtree(tmp_path / 'stopped' / 'overlays' / 'first')
    predict(tool, model, frames, tmp_path / 'stopped', '--smooth', N_FRAMES)
    again = maps(tmp_path / 'stopped')
    assert again.keys() == found.keys() and all((again[name] == found[name]).all() for name in found)
    with pytest.raises(ValueError, match='records results with smooth=3, but this call has None'):
        predict(tool, model, frames, tmp_path / 'stopped')


def test_what_a_mean_is_not_made_of(frames, tmp_path, tool):
    model = trained(tmp_path)
    with pytest.raises(ValueError, match=r'a mean over 3 images \(smooth\) is not made of tiles: leave smooth or tile'):
        predict(tool, model, frames, tmp_path / 'out', '--smooth', 3, '--tile', 32)
    with pytest.raises(ValueError, match='shard 0/2 lacks the frames between its own, which a mean over 3 of them'):
        predict(tool, model, frames, tmp_path / 'out', '--smooth', 3, '--shard', '0/2')
    assert not (tmp_path / 'out').exists()


def test_another_folder_or_size_begins_anew():
    mean, ones = TimeMean(2), torch.ones(1, 2, 3)
    assert [mean(path, value * ones).unique().tolist() for path, value in (
        ('a/1', 2), ('a/2', 4), ('a/3', 8), ('b/1', 10), ('b/2', 0))] == [[2], [3], [6], [10], [5]]
    assert mean('b/3', 7 * torch.ones(1, 3, 3)).unique().tolist() == [7]


def test_images_before_those_that_are_missing():
    names = [f'a/{number}' for number in range(8)] + ['b/0', 'b/1']
    assert [*with_images_before([0, 1, 5, 6, 8], names, 3)] == [0, 1, 3, 4, 5, 6, 8]
    assert [*with_images_before([7, 9], names, 3)] == [5, 6, 7, 8, 9]
    assert [*with_images_before([3, 5], names, 1)] == [3, 5]
