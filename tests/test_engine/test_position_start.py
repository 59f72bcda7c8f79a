"""What the start of the laterals does about the position in the features."""
import pytest
import torch

from mmseg_unsup.engine.hooks import pca_init_hook
from mmseg_unsup.engine.testing import initialize
from mmseg_unsup.functional.position import NOISE_STDS, noise_images
from mmseg_unsup.models import LateralSumNeck
from .tiny import FLOAT32, tiny_runner


def start(image_folder, work_dir, position, size=96, **options):
    """The runner of an untrained network; without a seed of its own, all have the same backbone."""
    torch.manual_seed(0)
    runner = tiny_runner(image_folder, work_dir, size=size, model__neck__position=position, **FLOAT32, **options)
    torch.manual_seed(0)
    initialize(runner)
    return runner


def projection(neck):
    return torch.cat([lateral.weight[..., 0, 0] for lateral in neck.laterals], 1).detach().double()


def hypercolumns(model, images):
    with torch.no_grad():
        return model.neck.hypercolumn(model.backbone(images))


@pytest.fixture
def plain(image_folder, tmp_path):
    return start(image_folder, tmp_path / 'plain', None).model.eval()


def images_of(runner):
    return torch.cat([runner.model.data_preprocessor(data)['inputs'][0] for data in
                      runner.build_dataloader(runner.cfg.probe_dataloader, seed=0)])


def test_directions_fade_by_what_depends_on_the_window(image_folder, tmp_path, plain):
    """The filter of all cells that four windows share, by a plain inverse."""
    runner = start(image_folder, tmp_path / 'consistent', 'consistent')
    images, weight, seen = images_of(runner), projection(plain.neck), []
    for top in (0, 32):
        for left in (0, 32):  # the shared part is from 32 to 64
            maps = hypercolumns(plain, images[..., top:top + 64, left:left + 64])
            seen.append(maps[..., 8 - top // 4:16 - top // 4, 8 - left // 4:16 - left // 4])
    rows = torch.stack(seen).permute(0, 1, 3, 4, 2).flatten(1, 3).double() @ weight.t()  # (4, cells, C)
    within = (rows - rows.mean(0)).flatten(0, 1).t().cov(correction=0)
    total = rows.flatten(0, 1).t().cov(correction=0)
    change = torch.eye(16).double() - within @ torch.linalg.inv(total)
    assert float((change - torch.eye(16)).abs().max()) > 0.05
    torch.testing.assert_close(projection(runner.model.neck), change @ weight, atol=2e-3, rtol=2e-3)
    bias = change @ plain.neck.laterals[0].bias.double()
    torch.testing.assert_close(runner.model.neck.laterals[0].bias.double(), bias, atol=2e-3, rtol=2e-3)
    others = start(image_folder, tmp_path / 'batches', 'consistent', probe_dataloader__batch_size=3)
    torch.testing.assert_close(projection(others.model.neck), projection(runner.model.neck), atol=1e-4, rtol=1e-4)


def test_directions_of_noise_are_taken_out(image_folder, tmp_path, plain):
    found = start(image_folder, tmp_path / 'noise', 3).model.eval()
    weight, without = projection(plain.neck), projection(found.neck)
    rows = []
    for std in NOISE_STDS:
        mean = hypercolumns(plain, noise_images(96, 96, std)).double().mean(0).flatten(1).t()
        rows.append(mean - mean.mean(0))
    rows = torch.cat(rows)
    vectors = torch.linalg.eigh((rows @ weight.t()).t() @ (rows @ weight.t()))[1][:, -3:]
    torch.testing.assert_close(without, weight - vectors @ (vectors.t() @ weight), atol=1e-4, rtol=1e-4)
    before, after = (float((rows @ of.t()).square().sum()) for of in (weight, without))
    assert after < 0.5 * before


def test_small_images_cannot_be_seen_in_windows(image_folder, tmp_path):
    given, plain = (start(image_folder, tmp_path / str(i), position, size=64)
                    for i, position in enumerate(('consistent', None)))
    assert torch.equal(projection(given.model.neck), projection(plain.model.neck))
    log, = (tmp_path / '0').glob('*/*.log')
    assert 'images of 64x64 pixels are too small to be seen in windows, so position stays in them' in log.read_text()


def test_images_beyond_a_bound_are_not_seen_in_windows(image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pca_init_hook, 'WINDOW_IMAGES', 5)
    seen = []
    plain = pca_init_hook._window_hypercolumns
    monkeypatch.setattr(pca_init_hook, '_window_hypercolumns', lambda *args: seen.append(plain(*args)) or seen[-1])
    start(image_folder, tmp_path, 'consistent', probe_dataloader__batch_size=2)
    assert len(seen) == 3 and all(len(maps) == 2 for maps in seen)


@pytest.mark.parametrize('options, match', [
    (dict(position=3), "position=3 changes principal components: set model.neck.init='pca', not 'random'"),
    (dict(position='shift', init='pca'), "position='shift': give None, 'consistent' or a number of directions from"),
    (dict(position=16, init='pca'), 'position=16: give .* from 1 to 15'),
    (dict(position=True, init='pca'), 'position=True: give'),
])
def test_bad_positions(options, match):
    with pytest.raises(ValueError, match=match):
        LateralSumNeck(out_channels=16, **options)
