"""From a folder of images to segments, as a user runs it."""
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_unsup.visualization import cluster_palette, overlay
from ..conftest import run_tool
from ..test_apis.tiny_gallery import page_data

SMALL = dict(
    picie=['model.neck.in_channels=[8,16,32,64]', 'model.neck.out_channels=16', 'model.decode_head.in_channels=16',
           'train_dataloader.dataset.pipeline.3.size=32', 'probe_dataloader.dataset.pipeline.1.size=32',
           'test_dataloader.dataset.pipeline.1.size=32'],
    maskcontrast=['model.decode_head.in_channels=64', 'model.decode_head.channels=16', 'size=32', 'eval_size=32',
                  'model.decode_head.saliency_threshold=-10'])
WIDTH = ['model.backbone.base_channels=8', 'model.backbone.stem_channels=8']
LOADERS = [f'{loader}_dataloader.{key}' for loader, batch_size in (('train', 4), ('probe', 4), ('test', 1))
           for key in ('num_workers=0', 'persistent_workers=False', f'batch_size={batch_size}')]


def command(method, images, out, *more):
    return ['segment_folder.py', images, '--method', method, '--out', out, '--init', 'none', '--epochs', 1,
            '--n-clusters', 3, '--workers', 1, *more, '--cfg-options', *WIDTH, *LOADERS, *SMALL[method]]


@pytest.fixture
def discs(tmp_path):
    """Eight images of a bright disc on a plain ground, one in a sub-folder."""
    (tmp_path / 'images' / 'more').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(8):
        image = np.full((64, 80, 3), rng.integers(40, 90, 3), np.uint8)
        cv2.circle(image, (int(rng.integers(30, 50)), 32), 16, rng.integers(160, 255, 3).tolist(), -1)
        cv2.imwrite(str(tmp_path / 'images' / ('more' if i == 0 else '') / f'{i}.png'), image)
    return tmp_path / 'images'


@pytest.mark.long
@pytest.mark.parametrize('method', ['maskcontrast', 'picie'])
def test_a_folder_becomes_maps_and_pictures(discs, tmp_path, method):
    out = tmp_path / 'out'
    first = run_tool(*command(method, discs, out)).stdout
    assert '8 images, ' in first and f'{out}/gallery.html' in first
    for folder, suffix in (('maps', 'png'), ('overlays', 'jpg')) + ((('masks', 'png'), ) * (method == 'maskcontrast')):
        stems = sorted(path.relative_to(out / folder).with_suffix('') for path in (out / folder).rglob(f'*.{suffix}'))
        assert [str(stem) for stem in stems] == sorted(['more/0', *map(str, range(1, 8))]), folder
    report = json.loads((out / 'predictions.json').read_text())
    names = report['classes']
    assert names == ['background' if method == 'maskcontrast' and k == 0 else f'cluster {k}' for k in range(len(names))]
    for name, shares in report['images'].items():
        ids = np.array(Image.open(out / 'maps' / name))
        assert ids.shape == (64, 80)
        counts = np.bincount(ids.ravel()) / ids.size
        assert shares == {names[k]: pytest.approx(share) for k, share in enumerate(counts) if share}
        if method == 'maskcontrast':  # the objects are those of the masks
            mask = np.array(Image.open((out / 'masks' / name).with_suffix('.png')))
            assert ((ids > 0) != (mask > 0)).mean() < 0.02
    shown = page_data(out / 'gallery.html')
    assert len(shown['clusters']) == len(report['classes']) == 3 + (method == 'maskcontrast')
    # the same command has nothing left to do; another setting is refused
    written = {path: path.stat().st_mtime for path in out.rglob('*') if path.suffix in ('.pth', '.png', '.html')}
    again = run_tool(*command(method, discs, out)).stdout
    assert again.count('finished before') == (4 if method == 'maskcontrast' else 3)
    assert {path: path.stat().st_mtime for path in written} == written
    other = run_tool(*command(method, discs, out, '--on-error', 'skip'), check=False)
    assert other.returncode and 'records on_error=raise, but this call has skip' in other.stdout


def test_a_stage_that_fails_is_named_and_comes_again(discs, tmp_path):
    broken = command('picie', discs, tmp_path / 'out')
    broken[broken.index('model.neck.out_channels=16')] = 'model.neck.out_channels=17'
    done = run_tool(*broken, check=False)
    assert done.returncode and "the stage 'train' ended with status 1, see above" in done.stdout
    assert json.loads((tmp_path / 'out' / 'segment_folder.json').read_text())['finished'] == []
    missing = run_tool(*command('picie', tmp_path / 'nowhere', tmp_path / 'other'), check=False)
    assert missing.returncode and 'nowhere' in missing.stdout and not (tmp_path / 'other').exists()


def test_overlays_by_hand():
    image = np.full((4, 4, 3), 100, np.uint8)
    clusters = np.zeros((4, 4), np.int64)
    clusters[:, 2:] = 1
    palette = cluster_palette(2)
    drawn = overlay(image, clusters, palette, background=0, alpha=0.5)
    assert (drawn[:, 0] == 100).all() and (drawn[:, 1] == 255).all()
    np.testing.assert_allclose(drawn[:, 3], np.round(50 + palette[1] / 2)[None].repeat(4, 0), atol=1)
