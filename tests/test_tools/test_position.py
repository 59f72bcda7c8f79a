"""mmseg-unsup position on a folder of images."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import DictAction
from mmengine.fileio import load
from mmengine.runner import Runner
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from mmseg_unsup.analysis.feature_sample import build_model
from mmseg_unsup.functional.position import noise_images, position_cosines
from mmseg_unsup.utils import load_config
from .test_choose_k import folder_checkpoint, folder_options  # noqa: F401
from .test_train_and_test import config


def r2(maps, pattern) -> float:
    """By scikit-learn: every other map is fitted to."""
    grid, n_channels = maps.shape[2:], maps.size(1)
    halves = [part.permute(0, 2, 3, 1).reshape(-1, n_channels).double() for part in (maps[::2], maps[1::2])]
    targets = [position_cosines(*grid)[pattern].repeat(len(part)) for part in (maps[::2], maps[1::2])]
    alpha = 1e-6 * float(halves[0].var(0, correction=0).mean()) * len(halves[0])
    fit = Ridge(alpha, solver='svd').fit(halves[0].numpy(), targets[0].numpy())
    return r2_score(targets[1].numpy(), fit.predict(halves[1].numpy()))


def as_dict(options) -> dict:
    pairs = (option.split('=') for option in options)
    return {key: DictAction._parse_iterable(value) for key, value in pairs}


def test_numbers_are_those_of_a_slow_calculation(image_folder, folder_checkpoint, tmp_path, tool, capsys):  # noqa: F811
    options = [*folder_options(image_folder), 'size=96']
    tool('position', config('picie_fpn_folder'), folder_checkpoint, '--out', tmp_path / 'position.json',
         '--cfg-options', *options)
    report, printed = load(str(tmp_path / 'position.json')), capsys.readouterr().out
    cfg = load_config(config('picie_fpn_folder'), as_dict(options))
    model = build_model(cfg, folder_checkpoint)
    images = torch.cat([model.data_preprocessor(data, False)['inputs'][0]
                        for data in Runner.build_dataloader(cfg.probe_dataloader, seed=0)])

    @torch.no_grad()
    def features(images):
        return F.normalize(model.predicting_map(images), dim=1)
    maps, noise = features(images), features(torch.cat([noise_images(96, 96, 0.3, seed) for seed in range(4)]))
    for pattern, name in {(1, 0): 'from top to bottom', (0, 1): 'from left to right', (0, 2): 'from the middle to the '
                          'sides'}.items():
        assert report['images'][name] == pytest.approx(r2(maps, pattern), abs=2e-2)
        assert report['noise'][name] == pytest.approx(r2(noise, pattern), abs=2e-3)
    seen = torch.stack([features(images[..., top:top + 64, left:left + 64])
                        [..., 8 - top // 4:16 - top // 4, 8 - left // 4:16 - left // 4]
                        for top in (0, 32) for left in (0, 32)])
    rows = seen.permute(0, 1, 3, 4, 2).flatten(1, 3).double()  # (4, cells, C)
    within = rows.var(0, correction=0).sum(1).mean() / rows.flatten(0, 1).var(0, correction=0).sum()
    assert 0.01 < report['window_share'] == pytest.approx(float(within), rel=1e-3)
    assert f'{100 * float(within):.1f} % of the variance' in printed and '8 images' in printed
    assert f'{report["noise"]["from top to bottom"]:.2f}' in printed


def test_small_images_have_no_windows(image_folder, folder_checkpoint, tool, capsys):  # noqa: F811
    arguments = [config('picie_fpn_folder'), folder_checkpoint, '--cfg-options', *folder_options(image_folder)]
    tool('position', *arguments)
    assert 'the images are too small to be seen in several windows' in capsys.readouterr().out
    with pytest.raises(ValueError, match='images of .* and .* pixels have no common grid of places'):
        tool('position', *arguments, 'probe_dataloader.dataset.pipeline.1.protocol=full_resolution',
             'probe_dataloader.batch_size=1')
