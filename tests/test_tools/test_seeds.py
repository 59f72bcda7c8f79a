"""mmseg-unsup seeds on small data and on logs written here."""
import json
import os
import os.path as osp
import re
import statistics
import subprocess
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.fileio import load

from mmseg_unsup.analysis import experiments, seeds
from mmseg_unsup.analysis.joined_tables import join_tables
from mmseg_unsup.commands import run_command
from mmseg_unsup.utils import load_config
from mmseg_unsup.utils.atomic import write_json
from mmseg_unsup.utils.run_record import read_record, write_record
from mmseg_unsup.version import __version__

from ..conftest import ROOT, run_tool, write_camvid
from ..forks import run_script
from .test_train_and_test import SMALL, config

TOOL = 'analysis_tools/seeds.py'


def logged_scores(run_dir, metric: str) -> dict:
    """Epoch -> score, read from the text log, which the tool does not use."""
    text = ''.join(path.read_text() for path in sorted(run_dir.glob('*/*.log')))
    lines = re.findall(r'Epoch\(val\) \[(\d+)\].*', text)
    values = re.findall(rf'Epoch\(val\) \[(\d+)\]\S* +(?:.*? )?(?<!/){metric}: ([\d.]+)', text)
    assert len(values) == len(lines)
    return {int(epoch): float(value) for epoch, value in values}


@pytest.fixture
def forked_trainings(monkeypatch):
    """The first process that a test starts is one as ever; those after it are forks."""
    started = []

    def run(command, stdout, stderr):
        started.append(command)
        if len(started) == 1:
            return subprocess_run(command, stdout=stdout, stderr=stderr)
        name, *words = command[3:]  # after what starts mmseg-unsup
        done = run_script(f'{ROOT}/tools/{name}.py', words, env=dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1'))
        stdout.write(done.stdout)
        return done

    subprocess_run = subprocess.run
    monkeypatch.setattr(experiments, 'subprocess', SimpleNamespace(run=run, STDOUT=subprocess.STDOUT))


@pytest.mark.slow
def test_two_seeds_are_trained_once_and_averaged(forked_trainings, tmp_path, capsys):
    write_camvid(tmp_path / 'camvid')
    options = ['--work-dir', tmp_path / 'runs', '--images', 4, '--cells', 128, '--cfg-options', *SMALL,
               f'data_root={tmp_path}/camvid', 'train_cfg.max_epochs=2', 'train_cfg.val_interval=1']
    assert run_command('seeds', [*map(str, [config('picie_fpn_camvid'), '--seeds', 1, 2, *options])]) == 0
    first = capsys.readouterr().out
    assert first.count('training, log') == 2
    words = [config('picie_fpn_camvid'), '--seeds', 1, 2, '--select', 'label-free', '--out-dir', tmp_path / 'out']
    assert run_command('seeds', [*map(str, [*words, *options])]) == 0
    again = capsys.readouterr().out
    assert again.count('finished before') == 2 and 'training, log' not in again
    assert again.count('label-free scores of epoch 1') == 2 and 'label-free scores of epoch 2' not in again

    report, table = load(str(tmp_path / 'out' / 'seeds.json')), (tmp_path / 'out' / 'seeds.md').read_text()
    assert table in again
    untrained, trained = report['rows']
    for metric in ('aAcc', 'mIoU'):
        by_seed = [logged_scores(tmp_path / 'runs' / 'picie_fpn_camvid' / f'seed_{seed}', metric) for seed in (1, 2)]
        assert all(set(of_seed) == {0, 1, 2} for of_seed in by_seed)
        for row, epoch in ((untrained, 0), (trained, 2)):
            a, b = (of_seed[epoch] for of_seed in by_seed)
            mean, std = (a + b) / 2, abs(a - b) / 2**0.5
            assert row['scores'][metric]['mean'] == pytest.approx(mean)
            assert row['scores'][metric]['std'] == pytest.approx(std)
            assert f'{mean:.2f} ± {std:.2f}' in table
    protocol = report['protocols']['picie_fpn_camvid']
    assert protocol['labels'] == 'none' and '| none |' in table  # random weights
    assert (protocol['data set'], protocol['validation images'], protocol['classes'], protocol['K'], protocol['size'],
            protocol['crop']) == ('CamVidDataset', 4, 11, 11, 32, 'center_crop')
    card, = report['cards']
    assert (card['size'], card['frame'], card['checkpoint'], card['labels']) == (32, 'centre square', 'last', 'none')
    assert '| frame | centre square |' in table and '*' not in table.replace('**', '')
    joined = join_tables([str(tmp_path / 'out' / 'seeds.json')], ['mIoU'])
    assert f'| config | CamVidDataset, 4 images, 11 classes | {trained["scores"]["mIoU"]["mean"]:.2f} ± ' in joined
    for run in report['runs']:
        scores = {int(epoch): of_epoch['view_NMI'] for epoch, of_epoch in run['label_free'].items()}
        assert run['selected_epoch'] == max(scores, key=scores.get)
        assert set(scores) == {1, 2} and osp.isfile(run['selected_checkpoint'])
    assert 'by labels, for information' in table and 'chosen without labels' in table

    refused = run_tool(TOOL, config('picie_fpn_camvid'), '--seeds', 1, *options, 'n_clusters=7', check=False)
    assert refused.returncode == 2 and refused.stdout.splitlines()[-1].startswith('error: ')
    assert 'holds a run with other settings (' in refused.stdout.splitlines()[-1]
    assert 'give another --work-dir, or remove that folder' in refused.stdout.splitlines()[-1]


@pytest.mark.slow
def test_what_trains_nothing_stands_beside_what_does(forked_trainings, tmp_path, capsys):
    """Clusters of features that nobody trains, scored by ``test``, and their row beside one of another length."""
    write_camvid(tmp_path / 'camvid')
    features = tmp_path / 'kmeans.py'
    features.write_text(f"""_base_ = '{ROOT}/configs/features/features_r18_camvid.py'
model = dict(backbone=dict(backbone=dict(base_channels=8, stem_channels=8, init_cfg=None)),
             neck=dict(in_channels=[8, 16, 32, 64], out_channels=16), decode_head=dict(in_channels=16))
probe_dataloader = test_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
""")
    words = ['--work-dir', tmp_path / 'runs', '--seeds', 1, 2, '--cfg-options', f'data_root={tmp_path}/camvid',
             'size=32']
    assert run_command('seeds', [*map(str, [features, *words])]) == 0
    capsys.readouterr()
    assert run_command('seeds', [*map(str, [features, *words])]) == 0
    assert capsys.readouterr().out.count('finished before') == 2
    report, table = load(str(tmp_path / 'runs' / 'seeds.json')), (tmp_path / 'runs' / 'seeds.md').read_text()
    row, = report['rows']
    tested = [json.loads(path.read_text()) for path in sorted((tmp_path / 'runs').glob('kmeans/*/*/*.json'))]
    assert [run['evaluations']['0']['mIoU'] for run in report['runs']] == [scores['mIoU'] for scores in tested]
    assert row['scores']['mIoU']['mean'] == pytest.approx(statistics.fmean(scores['mIoU'] for scores in tested))
    seconds = [read_record(run['work_dir'])['seconds'] for run in report['runs']]
    assert row['minutes']['mean'] == pytest.approx(statistics.fmean(seconds) / 60) and min(seconds) > 0
    assert row['name'] == 'kmeans' and '| scales | 1.4 |' in table and '| 2 | 0.' in table


def test_minutes_and_rows_of_unlike_trainings(tmp_path):
    """Minutes are those of all phases; what a training does not have is a dash in the table of the protocols."""
    runs = [make_run(tmp_path, name, 1, {0: scores(1, 2), 2: scores(60, 20)}) for name in 'ab']
    for epoch, seconds in ((1, 30), (2, 60), (2, 90)):  # the second epoch was repeated
        with open(f'{runs[0].work_dir}/1/vis_data/scalars.json', 'a') as file:
            file.write(f'\n{{"seconds/train": {seconds}, "seconds/cluster": 15, "step": {epoch}}}')
    for run in runs:
        experiments.read_evaluations(run)
    protocols = dict(a=dict(K=3, matching='-', epochs=2), b=dict(K=3, matching='-', iterations=7, batch=4))
    report = seeds.summarise(runs, protocols, ['aAcc'])
    assert [row['minutes'] and row['minutes']['mean'] for row in report['rows']] == [None, 2.5, None]
    table = seeds.to_markdown(report)
    assert '| a | 60.00 ± - | 1 | 2.5 |' in table and '| b | 60.00 ± - | 1 | - |' in table
    assert '|  | K | matching | epochs | labels | iterations | batch |' in table
    assert '| b | 3 | - | - | ImageNet labels | 7 | 4 |' in table


@pytest.mark.parametrize('name', ['stego/stego_r18_camvid', 'smooseg/smooseg_r18_camvid',
                                  'features/features_r18_camvid'])
def test_views_of_label_free_scores_where_the_training_has_none(name):
    """They are those of PiCIE at the size of the evaluation; PiCIE's own stay as they are."""
    from mmseg_unsup.analysis.feature_sample import _loader_config
    from mmseg_unsup.presets import view_pipeline
    assert _loader_config(load_config(f'{ROOT}/configs/{name}.py'), 'train_dataloader').dataset.pipeline == \
        view_pipeline(160)
    own = load_config(config('picie_fpn_camvid'))
    own.train_dataloader.dataset.pipeline[1]['p'] = 0.3
    assert _loader_config(own, 'train_dataloader').dataset.pipeline == own.train_dataloader.dataset.pipeline


def make_run(tmp_path, name: str, seed: int, evaluations: dict, sub_dir: str = '1', max_epochs: int = 2):
    """A finished run whose log holds the evaluations between lines of training."""
    folder = tmp_path / name / f'seed_{seed}'
    (folder / sub_dir / 'vis_data').mkdir(parents=True)
    with open(folder / sub_dir / 'vis_data' / 'scalars.json', 'w') as file:
        for epoch, scores in evaluations.items():
            file.write(json.dumps(dict(scores, data_time=0.1, time=0.2, step=epoch)) + '\n')
            file.write(json.dumps(dict(loss=1., lr=0.1, epoch=epoch + 1, iter=7, step=7)) + '\n')
        file.write('{"aAcc": 1')
    (folder / 'train.log').write_text('INFO - labels seen by the initial weights: ImageNet labels\n')
    cfg = Config(dict(train_cfg=dict(max_epochs=max_epochs), train_dataloader=dict(), model=dict(n_clusters=3)))
    words = ['x=1', f'randomness.seed={seed}']
    run = seeds.Run(f'{name}, seed {seed}', f'{name}.py', str(folder), words, ['--amp'], cfg, name, seed)
    write_record(str(folder), run.settings, finished=True)
    return run


def scores(accuracy: float, miou: float) -> dict:
    return dict(aAcc=accuracy, mIoU=miou)


def report_of(runs, metrics=('aAcc', 'mIoU')) -> dict:
    for run in runs:
        experiments.read_evaluations(run)
    protocols = {run.name: dict(K=3, matching='hungarian') for run in runs}
    return seeds.summarise(runs, protocols, metrics)


def test_configs_share_the_untrained_row_only_if_they_start_alike(tmp_path):
    last = dict(a=[60., 64., 71.], b=[50., 58., 52.], c=[40., 41., 42.])
    start = dict(a=[30., 33., 31.], b=[30., 33., 31.], c=[20., 20., 20.])
    runs = [make_run(tmp_path, name, seed, {
        0: scores(start[name][seed - 1], 10),
        1: scores(99, 99),
        2: scores(last[name][seed - 1], 20)
    }) for seed in (1, 2, 3) for name in 'abc']
    report = report_of([run for run in runs if run.name != 'c'])
    assert [row['name'] for row in report['rows']] == ['untrained', 'a', 'b']
    for row, values in zip(report['rows'], (start['a'], last['a'], last['b'])):
        assert row['n'] == 3
        assert row['scores']['aAcc']['mean'] == pytest.approx(sum(values) / 3)
        assert row['scores']['aAcc']['std'] == pytest.approx(statistics.stdev(values))
    report = report_of(runs)
    assert [row['name'] for row in report['rows']] == ['untrained (a, b)', 'untrained (c)', 'a', 'b', 'c']
    table = seeds.to_markdown(report)
    assert '| a | 65.00 ± 5.57 | 20.00 ± 0.00 | 3 |' in table
    assert '| a | 3 | hungarian | ImageNet labels |' in table
    # the best epoch by labels is said, and does not enter the scores
    assert '| b | 2 | epoch 2: 58.00 / 20.00 | epoch 1: 99.00 / 99.00 |' in table
    assert 'best mIoU by labels, for information' in table


def test_configs_that_are_not_scored_alike_have_cards_that_say_so(tmp_path):
    runs = [make_run(tmp_path, name, 1, {2: scores(60, 20)}) for name in ('r18', 'vit')]
    for run in runs:
        experiments.read_evaluations(run)
        run.cfg = load_config(f'mmseg_unsup::features/features_{run.name}_camvid.py')
    (tmp_path / 'vit/seed_1/train.log').write_text('INFO - labels seen by the initial weights: CamVid labels\n')
    facts = {'data set': 'CamVidDataset', 'validation images': 4, 'classes': 11, 'matching': 'hungarian'}
    report = seeds.summarise(runs, {run.name: dict(facts) for run in runs}, ['mIoU'])
    table = seeds.to_markdown(report)
    assert [row['card'] for row in report['rows']] == ['config 1', 'config 2']
    assert '| size * | 160 | 320 |' in table and '| labels * | none | trained the features |' in table
    assert '| scales * | 1.4 | none |' in table
    write_json(str(tmp_path / 'seeds.json'), report)
    with pytest.raises(ValueError, match=r'were not scored alike, they differ in size \(160 and 320\), scales \(1.4 '
                       r'and none\), lab'):
        join_tables([str(tmp_path / 'seeds.json')], ['mIoU'])


def test_one_seed_has_no_deviation(tmp_path):
    report = report_of([make_run(tmp_path, 'a', 1, {2: scores(60, 20)})])
    table = seeds.to_markdown(report)
    assert '| a | 60.00 ± - | 20.00 ± - | 1 |' in table and 'no standard deviation' in table
    assert 'Not evaluated before training: a' in table and report['rows'][0]['name'] == 'a'


def test_nan_and_missing_scores_are_dashes(tmp_path):
    runs = [make_run(tmp_path, 'a', 1, {2: dict(aAcc=50., mIoU=float('nan'))}),
            make_run(tmp_path, 'b', 1, {2: dict(aAcc=40., mIoU=20., other=1.)})]
    report = report_of(runs, ['mIoU', 'other'])
    assert '| a | - | - | 1 |' in seeds.to_markdown(report)
    assert 'NaN' not in json.dumps(report)


def test_without_labels_no_epoch_is_best_by_them(tmp_path):
    run = make_run(tmp_path, 'a', 1, {2: dict(balance=0.5)})
    experiments.read_evaluations(run)
    report = seeds.summarise([run], dict(a=dict(matching='-')), ['balance'])
    assert '| a | 1 | epoch 2: 0.50 | - |' in seeds.to_markdown(report)


def test_logs_of_a_resumed_run_are_joined(tmp_path):
    run = make_run(tmp_path, 'a', 1, {0: scores(30, 10), 1: scores(40, 12)}, '20260101_000000')
    make_run(tmp_path, 'a', 1, {1: scores(41, 13), 2: scores(50, 15)}, '20260102_000000')
    experiments.read_evaluations(run)
    assert run.evaluations == {0: scores(30, 10), 1: scores(41, 13), 2: scores(50, 15)}


def test_selection_reads_no_labels_and_takes_the_later_of_equals(tmp_path):
    run = make_run(tmp_path, 'a', 1, {1: scores(99, 99), 2: scores(60, 20)})
    experiments.read_evaluations(run)
    run.label_free = {1: dict(view_NMI=0.2), 2: dict(view_NMI=0.5), 3: dict(view_NMI=0.5), 4: dict(view_NMI=None)}
    assert run.selected == 3 and run.best_by_labels('mIoU') == 1
    run.label_free = {}
    assert run.selected is None


def test_what_is_missing_from_the_logs_is_said(tmp_path):
    run = make_run(tmp_path, 'a', 1, {2: scores(1, 2)})
    experiments.read_evaluations(run)
    with pytest.raises(ValueError, match="no run reported the metric 'kappa': choose with --metrics .* aAcc, mIoU"):
        experiments.check_metrics([run], ['aAcc', 'kappa'])
    with pytest.raises(ValueError, match='no evaluation in .*seed_2.*: check that the config has val_dataloader'):
        experiments.read_evaluations(make_run(tmp_path, 'a', 2, {}))
    with pytest.raises(ValueError, match='is of epoch 1, but the run has 2: remove'):
        experiments.read_evaluations(make_run(tmp_path, 'a', 3, {1: scores(1, 2)}))


def test_runs_go_on_or_stop_with_their_log(tmp_path, monkeypatch):
    commands = []

    def fake_run(command, stdout, stderr):
        commands.append(command)
        stdout.write('epoch 1\nerror: bad learning rate\n')
        return SimpleNamespace(returncode=status)

    monkeypatch.setattr(experiments.subprocess, 'run', fake_run)
    run = make_run(tmp_path, 'a', 5, {2: scores(1, 2)})
    experiments.train(run, run.title)
    assert not commands  # finished
    write_record(run.work_dir, run.settings, finished=False)
    status = 3
    with pytest.raises(RuntimeError, match='a, seed 5: .* status 3 .bad learning rate.: see .*train.log'):
        experiments.train(run, run.title)
    assert not read_record(run.work_dir)['finished'] and '--resume' not in commands[0]
    assert commands[0][3:8] == ['train', 'a.py', '--amp', '--work-dir', run.work_dir]
    assert commands[0][-3:] == ['--cfg-options', 'x=1', 'randomness.seed=5']
    status = 0
    open(osp.join(run.work_dir, 'epoch_1.pth'), 'w').close()
    experiments.train(run, run.title)
    assert '--resume' in commands[1]
    run.settings['model.n_clusters'] = '4'
    with pytest.raises(ValueError, match='.1 differ, such as model.n_clusters: 3 there, 4 now.: give another'):
        experiments.train(run, run.title)


def test_the_console_says_which_run_it_is_and_what_is_left(tmp_path, monkeypatch):
    runs = [make_run(tmp_path, 'a', seed, {2: scores(1, 2)}) for seed in (1, 2, 3, 4)]
    clock, said = [0.], []
    for run in runs[1:]:
        write_record(run.work_dir, run.settings, finished=False)

    def fake_run(*args, **kwargs):
        clock[0] += 120
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(experiments.subprocess, 'run', fake_run)
    monkeypatch.setattr(experiments.time, 'time', lambda: clock[0])
    monkeypatch.setattr(experiments, 'say', said.append)
    experiments.train_all(runs, ['aAcc'], n_first=2)
    assert said[0] == 'a, seed 1 (1 of 4): finished before' and all(run.last == 2 for run in runs)
    assert said[1].startswith('a, seed 2 (2 of 4): training, log ') and len(said) == 7
    assert said[2] == 'a, seed 2 (2 of 4): done in 2.0 min, about 4 min for the 2 that are left'
    assert said[6] == 'a, seed 4 (4 of 4): done in 2.0 min'
    with pytest.raises(ValueError, match="no run reported the metric 'kappa'"):
        experiments.train_all(runs, ['kappa'], n_first=2)
    assert said[-1].startswith('a, seed 2 (2 of 4): done')  # the others are not trained


def test_a_table_of_other_runs_is_kept(tmp_path):
    """Also one whose folders are spelled in another way; more seeds make a larger table of the same runs."""
    runs = [make_run(tmp_path, name, seed, {2: scores(1, 2)}) for name in 'ab' for seed in (1, 2)]
    table = str(tmp_path / 'seeds.json')
    experiments.check_plan(runs, table)
    (tmp_path / 'seeds.json').write_text(json.dumps(dict(runs=[dict(work_dir=osp.relpath(runs[0].work_dir))])))
    experiments.check_plan(runs[:2], table)
    with pytest.raises(ValueError, match=r'seeds.json is the table of other runs \(1 of them .*a/seed_1\): give '
                                         'another --out-dir, or those runs too'):
        experiments.check_plan(runs[1:], table)
    runs[1].settings['model.n_clusters'] = '4'
    with pytest.raises(ValueError, match='seed_2 holds a run with other settings'):  # before the first one is trained
        experiments.check_plan(runs, table)


def test_the_plan(tmp_path):
    picie, mdc = config('picie_fpn_camvid'), f'{ROOT}/configs/mdc/mdc_fpn_camvid.py'
    runs = seeds.plan_runs([picie, mdc], [3, 5], str(tmp_path), ['n_clusters=7'])
    assert [(run.name, run.seed) for run in runs] == [(name, seed) for seed in (3, 5)
                                                      for name in ('picie_fpn_camvid', 'mdc_fpn_camvid')]
    assert runs[2].cfg.randomness.seed == 5 and runs[2].settings['model.decode_head.n_clusters'] == '7'
    assert runs[0].settings['randomness.seed'] == '3' and runs[3].work_dir == f'{tmp_path}/mdc_fpn_camvid/seed_5'
    with pytest.raises(FileNotFoundError, match="no config 'nowhere.py': give the path of a file"):
        seeds.plan_runs(['nowhere.py'], [1], str(tmp_path))
    with pytest.raises(ValueError, match='have the same name and would share'):
        seeds.plan_runs([picie, picie], [1], str(tmp_path))
    with pytest.raises(ValueError, match='--seeds 1 1 has one twice'):
        seeds.plan_runs([picie], [1, 1], str(tmp_path))


def test_a_config_that_never_evaluates_is_refused_before_training(tmp_path):
    run = seeds.plan_runs([config('picie_fpn_camvid')], [1], str(tmp_path))[0]
    run.cfg.val_evaluator = None
    with pytest.raises(ValueError, match='has no val_dataloader or val_evaluator, so its runs would have no scores'):
        seeds.describe_protocol(run.cfg, amp=False)
    assert not os.listdir(tmp_path)


def test_a_training_imports_what_this_process_does(tmp_path, monkeypatch):
    """Wherever a package of the same name lies: below the current folder, and in PYTHONPATH."""
    for name in ('here', 'there'):
        (tmp_path / name / 'mmseg_unsup').mkdir(parents=True)
        (tmp_path / name / 'mmseg_unsup' / '__init__.py').write_text('raise ImportError("another one")\n')
    monkeypatch.chdir(tmp_path / 'here')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'there'))
    done = subprocess.run([*experiments._program(), '--version'], capture_output=True, text=True)
    assert done.stdout.strip() == __version__, done.stderr
