"""The checks of a GPU: what a report makes of them, and that all of them run, tiny, on a CPU."""
import json
import re
import time
from dataclasses import asdict
from threading import Event

import pytest
import torch

from mmseg_unsup.analysis import gpu_report
from mmseg_unsup.analysis.gpu_checks import Check, Skipped
from mmseg_unsup.analysis.gpu_report import CHECKS, choose, run_apart, work
from mmseg_unsup.analysis.gpu_runs import Scale, draw_data, relative_difference, unequal_tensors
from mmseg_unsup.visualization.gpu_page import number_texts, render_gpu_report, target_text
from ..forks import spawn

# of those that are the same but for the method, one that needs most
SAME = re.compile('(train|batch-equality|determinism|resume|step)-(?!maskcontrast)|coco-epoch-float32')


def test_names_stand_for_those_that_they_begin():
    assert choose(['resume', 'tf32', 'step-picie']) == [
        'tf32', 'resume-picie', 'resume-maskcontrast', 'step-picie', 'step-picie-h']
    assert choose(None) == [*CHECKS] and [CHECKS[name].alone for name in CHECKS] == sorted(
        CHECKS[name].alone for name in CHECKS)
    with pytest.raises(ValueError, match='--only tf23: there is no such check: did you mean tf32?'):
        choose(['tf23'])


def test_the_text_of_numbers():
    numbers = dict(peak_bytes=3 * 2**29, passes={'27': dict(pass_seconds=1.23456)}, points=32_800_000, rate=12345.6,
                   equal_bits=True, names=[])
    assert dict(number_texts(numbers)) == {'peak': '1.50 GiB', 'passes, 27, pass seconds': '1.235', 'rate': '12,346',
                                           'points': '32,800,000', 'equal bits': 'True', 'names': 'none'}


def test_differences():
    assert relative_difference([3., 4.], [3., 0.]) == pytest.approx(4 / 3)
    first = dict(a=torch.ones(2), b=torch.ones(2), c=torch.ones(1))
    second = dict(a=torch.ones(2), b=torch.tensor([1., 1.0000001]), d=torch.ones(1))
    assert unequal_tensors(first, second) == ['b', 'c', 'd']


def found(**changes) -> dict:
    return dict(dict(question='q', status='ok', reason='', seconds=1., numbers={}), **changes)


def test_the_page():
    epoch = dict(minutes_of_10_epochs=12.34, target_minutes=10., images=12_800, extrapolated_to_images=49_629)
    checks = {
        'train-picie': found(status='failed', reason='<b>', traceback='Traceback <i>'),
        'loader': found(numbers=dict(images_per_second={'1': 100., '4': 380.})),
        'coco-epoch-amp': found(numbers=epoch)}
    page = render_gpu_report(dict(machine={'GPU': 'none', 'CPU': 'X'}, quick=False, checks=checks))
    assert '&lt;b&gt;' in page and 'Traceback &lt;i&gt;' in page
    assert '<b>12.34</b>' in page and 'images/s 380 at 4' in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and 'http' not in page
    assert target_text(checks) == ('10 epochs of 49,629 images, extrapolated; the target is 10 min: 12.3 min with amp, '
                                   'from 12,800 images')
    assert [re.sub(r'\s', '', dd) for dd in re.findall('<dd class="[a-z]+">(.*?)</dd>', page)] == ['1', '0', '2']


def fail(scale, note):
    note(reached=1.5)
    raise AssertionError('wrong by 3 %')


def skip(scale, note):
    raise Skipped('nothing to see')


@pytest.mark.parametrize('function, status, reason', [
    (fail, 'failed', 'AssertionError: wrong by 3 %'), (skip, 'skipped', 'nothing to see'),
    (lambda scale, note: note(reached=1.5), 'ok', '')])
def test_a_record(tmp_path, monkeypatch, function, status, reason):
    monkeypatch.setitem(CHECKS, 'one', Check(function, 'q', 10))
    work('one', asdict(Scale('cpu', True, '', '', 1)), str(tmp_path / 'record.json'))
    record = json.loads((tmp_path / 'record.json').read_text())
    assert (record['status'], record['reason']) == (status, reason)
    assert record['numbers'] == ({} if status == 'skipped' else dict(reached=1.5))
    assert ('in fail' in record.get('traceback', '')) == (status == 'failed')


def test_without_time_left_a_check_is_skipped(tmp_path):
    scale = Scale('cpu', True, str(tmp_path), str(tmp_path), 1)
    assert run_apart('tf32', scale, time.monotonic() + 1, Event())['reason'] == 'no time was left'
    assert [*tmp_path.iterdir()] == []


@pytest.mark.long
def test_a_process_that_takes_too_long_and_one_that_breaks(tmp_path, monkeypatch):
    """The stack of the former is told; neither leaves files."""
    scale = Scale('gpu', True, '', str(tmp_path), 1)
    broken = run_apart('warp-gradient', scale, time.monotonic() + 60, Event())
    assert broken['status'] == 'failed' and 'gpu' in broken['reason'] and 'gpu_checks.py' in broken['traceback']
    monkeypatch.setattr(gpu_report, '_SHORTEST', 0)
    late = run_apart('warp-gradient', scale, time.monotonic() + 1, Event())
    assert late['status'] == 'failed' and late['reason'] == 'it took more than 1 s' and late['seconds'] < 6
    assert 'most recent call first' in late['traceback'] and [*tmp_path.iterdir()] == []


def work_apart(rank: int, folder: str, name: str) -> None:
    work(name, asdict(Scale('cpu', True, folder, f'{folder}/{name}', 2)), f'{folder}/{name}.json')


@pytest.mark.long
def test_all_checks_run(tmp_path):
    names = [name for name in CHECKS if not SAME.match(name)]
    draw_data(Scale('cpu', True, str(tmp_path), '', 2))
    for name in names:
        (tmp_path / name).mkdir()
        spawn(work_apart, (str(tmp_path), name))
    records = {name: json.loads((tmp_path / f'{name}.json').read_text()) for name in names}
    failed = {name: record['traceback'] for name, record in records.items() if record['status'] == 'failed'}
    assert not failed, '\n'.join(f'{name}\n{text}' for name, text in failed.items())
    assert [name for name in names if records[name]['status'] == 'skipped'] == ['amp-float16']
    numbers = {name: record['numbers'] for name, record in records.items()}
    assert numbers['train-maskcontrast']['steps'] == 4 and numbers['process-group']['backend'] == 'gloo'
    epoch = numbers['coco-epoch-amp']
    of_phases = sum(epoch['seconds'][name] for name in ('cluster', 'label', 'train'))
    assert epoch['minutes_of_10_epochs'] == pytest.approx(10 / 60 * of_phases * 49_629 / 8)
    assert numbers['kmeans-pass']['passes'].keys() == {'27', '54', '108'}
    assert all(rate > 0 for rate in numbers['loader']['images_per_second'].values())
