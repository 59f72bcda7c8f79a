"""mmseg-unsup label-efficiency on small data and on logs written here."""
import json
import os
import os.path as osp
import statistics

import pytest
from mmengine.fileio import load

from mmseg_unsup.analysis import experiments, label_efficiency
from mmseg_unsup.commands import run_command
from mmseg_unsup.utils.config import find_config
from mmseg_unsup.utils.options import parse_options
from mmseg_unsup.utils.run_record import write_record
from ..conftest import NO_WORKERS, ROOT, run_tool, write_camvid
from ..test_engine.test_finetune import HEADS, WIDTHS
from .test_seeds import forked_trainings  # noqa: F401

TOOL = 'analysis_tools/label_efficiency.py'
CONFIG = f'{ROOT}/configs/finetune/fcn_r18_camvid.py'
SMALL = {
    **WIDTHS, **HEADS['fcn'], 'train_dataloader.batch_size': 2, 'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2,
    'train_dataloader.dataset.pipeline.RandomResize.scale': (1000, 32),
    'train_dataloader.dataset.pipeline.RandomCrop.crop_size': (32, 32),
    'val_dataloader.dataset.pipeline.ResizeForEvaluation.size': 32, 'model.data_preprocessor.size': (32, 32),
    **parse_options([option for option in NO_WORKERS if 'probe' not in option])
}


def settings_file(tmp_path, **changes) -> str:
    settings = dict(config=CONFIG, percents=[100, 50], seeds=[1, 2],
                    starts=dict(scratch=dict(init=None), file=dict(init=str(tmp_path / 'weights_{seed}.pth'))),
                    cfg_options=dict(SMALL, data_root=str(tmp_path / 'data')))
    settings.update(changes)
    path = tmp_path / 'settings.py'
    path.write_text(''.join(f'{key} = {value!r}\n' for key, value in settings.items() if value is not None))
    return str(path)


def write_weights(tmp_path, seen: str = 'none') -> None:
    import torch
    from mmseg.registry import MODELS
    backbone = MODELS.build(dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')))
    for seed in (1, 2):
        torch.save(dict(meta=dict(weights_seen=seen), state_dict=backbone.state_dict()),
                   tmp_path / f'weights_{seed}.pth')


@pytest.mark.long
def test_starts_and_shares_are_trained_once_and_averaged(forked_trainings, tmp_path, capsys):  # noqa: F811
    write_camvid(tmp_path / 'data')
    write_weights(tmp_path)
    settings = settings_file(tmp_path, percents=[50])
    options = [settings, '--work-dir', tmp_path / 'runs']
    assert run_command('label-efficiency', [*map(str, options)]) == 0
    assert capsys.readouterr().out.count('training, log') == 4
    assert run_command('label-efficiency', [*map(str, options), '--out-dir', str(tmp_path / 'out')]) == 0
    again = capsys.readouterr().out
    assert again.count('finished before') == 4 and 'training, log' not in again
    report, table = load(str(tmp_path / 'out' / 'label_efficiency.json')), (tmp_path / 'out' / 'label_efficiency.md')
    assert table.read_text() in again and (tmp_path / 'out' / 'label_efficiency.png').stat().st_size > 1000
    for cell in report['cells']:
        values = []
        for seed in (1, 2):
            folder = tmp_path / 'runs' / cell['start'] / 'percent_50' / f'seed_{seed}'
            text = ''.join(path.read_text() for path in folder.glob('*/*.log'))
            values.append(float(text.split('  mIoU: ')[1].split()[0]))
            assert ('init: loaded 120/120' in text) == (cell['start'] == 'file')
        assert cell['images'] == 2 and cell['scores']['mIoU']['mean'] == pytest.approx(statistics.fmean(values))
        assert cell['scores']['mIoU']['std'] == pytest.approx(statistics.stdev(values))
    refused = run_tool(TOOL, *options, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5', check=False)
    assert refused.returncode == 2 and refused.stdout.splitlines()[-1].startswith('error: ')
    assert 'holds a run with other settings' in refused.stdout.splitlines()[-1]


def finish(runs, score) -> None:
    """Logs and records as runs would leave them."""
    for run in runs:
        os.makedirs(osp.join(run.work_dir, '1', 'vis_data'))
        with open(osp.join(run.work_dir, '1', 'vis_data', 'scalars.json'), 'w') as file:
            file.write(json.dumps(dict(loss=1., iter=2, step=2)) + '\n')
            file.write(json.dumps(dict(mIoU=score(run), aAcc=50., step=2, time=1.)) + '\n')
        with open(osp.join(run.work_dir, 'train.log'), 'w') as file:
            seen = 'none' if run.start == 'scratch' else 'ImageNet labels'
            file.write(f'INFO - labels seen by the initial weights: {seen}\n')
        write_record(run.work_dir, run.settings, finished=True)
        experiments.read_evaluations(run)


def test_the_plan_and_the_table(tmp_path):
    write_camvid(tmp_path / 'data')
    write_weights(tmp_path)
    settings = label_efficiency.read_settings(settings_file(tmp_path))
    runs = label_efficiency.plan_runs(settings, str(tmp_path / 'runs'), [])
    assert [(run.seed, run.percent, run.start) for run in runs] == [
        (seed, percent, start) for seed in (1, 2) for percent in (50, 100) for start in ('scratch', 'file')]
    for run in runs:
        train = run.cfg.train_dataloader.dataset
        names = open(train.ann_file).read().split()
        assert len(names) == run.n_images == {50: 2, 100: 4}[run.percent]
        assert osp.samefile(train.ann_file, tmp_path / 'runs' / 'subsets' / f'seed_{run.seed}' /
                            f'percent_{run.percent:g}.txt')
        assert run.cfg.randomness.seed == run.seed and run.cfg.train_cfg.max_iters == 2
        init_cfg = run.cfg.model.backbone.init_cfg
        assert init_cfg is None if run.start == 'scratch' else init_cfg.checkpoint == str(
            tmp_path / f'weights_{run.seed}.pth')
    finish(runs, lambda run: run.percent / 10 + run.seed * (3 if run.start == 'file' else 1))
    report = label_efficiency.summarise(runs, settings)
    table = label_efficiency.to_markdown(report)
    assert '| scratch | none | 6.50 ± 0.71 | 11.50 ± 0.71 |' in table
    assert '| file | ImageNet labels | 9.50 ± 2.12 | 14.50 ± 2.12 |' in table
    assert '| start | labels | 50 % (2 images) | 100 % (4 images) |' in table and 'one per seed' in table
    json.dumps(report)
    label_efficiency.plot(report, 'mIoU', str(tmp_path / 'x.png'))
    assert (tmp_path / 'x.png').stat().st_size > 1000

    same = label_efficiency.plan_runs({**settings, 'subset_seed': 7}, str(tmp_path / 'same'),
                                      ['optim_wrapper.optimizer.lr=0.5'])
    assert len({run.cfg.train_dataloader.dataset.ann_file for run in same}) == 2
    assert all(run.cfg.optim_wrapper.optimizer.lr == 0.5 for run in same)


@pytest.mark.parametrize('changes, error, message', [
    (dict(seeds=None), KeyError, "missing .'seeds'."),
    (dict(fractions=[1]), KeyError, "unknown .'fractions'."),
    (dict(seeds=[]), ValueError, 'seeds is empty'),
    (dict(percents=[5, 5]), ValueError, 'percents has a value twice'),
    (dict(starts={'a/b': {}}), ValueError, "the start 'a/b' names a folder"),
    (dict(starts=dict(x=dict(init='nowhere.pth'))), FileNotFoundError, "the start 'x' names 'nowhere.pth'"),
    (dict(starts=dict(x=dict(init='a, b.pth'))), FileNotFoundError, "the start 'x' names 'a, b.pth'"),
    (dict(starts=dict(x=dict(init=b'x'))), ValueError, "init: b'x' cannot be given as an option"),
    (dict(config='nowhere.py'), FileNotFoundError, "there is no config 'nowhere.py'"),
    (dict(percents=[0]), ValueError, 'percents lie in'),
])
def test_wrong_settings_end_before_the_first_run(tmp_path, changes, error, message):
    write_camvid(tmp_path / 'data')
    write_weights(tmp_path)
    with pytest.raises(error, match=message):
        settings = label_efficiency.read_settings(settings_file(tmp_path, **changes))
        label_efficiency.plan_runs(settings, str(tmp_path / 'runs'))
    assert not osp.exists(tmp_path / 'runs' / 'scratch')


@pytest.mark.parametrize('folder', [f'{ROOT}/configs/', 'mmseg_unsup::'])
def test_the_shipped_settings(folder):
    settings = label_efficiency.read_settings(f'{folder}finetune/label_efficiency_camvid.yml')
    assert list(settings['starts']) == ['scratch', 'ImageNet', 'PiCIE'] and settings['percents'] == [5, 12.5, 100]
    assert osp.isfile(find_config(settings['config'])) and '{seed}' in settings['starts']['PiCIE']['init']
