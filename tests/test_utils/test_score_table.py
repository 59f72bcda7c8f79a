"""Scores in words, and the paths beside them."""
import os.path as osp

import pytest

from mmseg_unsup.utils.console import duration
from mmseg_unsup.utils.paths import shown
from mmseg_unsup.utils.score_table import change_table, headline, main_scores, score_table

ONE = {'aAcc': 60.06, 'mIoU': 46.5386, 'NMI': float('nan')}
SETS = {**ONE, 'view1/aAcc': 60.8, 'view1/mIoU': 42.1}


@pytest.mark.parametrize('metrics, expected', [
    (ONE, 'mIoU 46.54'), (SETS, 'mIoU 46.54'), ({'aAcc': 50.}, 'aAcc 50.00'), ({}, ''), ({'x/mIoU': 1}, 'mIoU 1.00'),
    ({'loss': 0.5, 'note': 'text'}, 'loss 0.50')
])
def test_the_score_to_look_at_first(metrics, expected):
    assert headline(metrics) == expected


def test_before_and_after():
    assert main_scores(SETS) == pytest.approx(ONE, nan_ok=True)
    lines = change_table(SETS, dict(ONE, mIoU=75.8206)).splitlines()
    assert [line.strip('| ').split('|') for line in lines[3:4]] == [['mIoU            ', '  46.54 ', ' 75.82']]
    assert lines[-2].split() == ['|', 'NMI', '|', '-', '|', '-', '|']
    assert 'before' not in change_table(None, ONE)


def test_all_scores():
    assert [line.split()[1] for line in score_table(SETS, 'fresh').splitlines()[3:5]] == ['fresh', 'view1']
    wide = score_table({f'score_{i}_of_many': float(i) for i in range(12)} | {'view1/mIoU': 3.})
    assert max(map(len, wide.splitlines())) <= 80 and 'view1/mIoU' in wide
    assert score_table(ONE).count('\n') == 4


@pytest.mark.parametrize('seconds, expected', [
    (0.2, '0 s'), (12.4, '12 s'), (99.4, '99 s'), (99.6, '1.7 min'), (5969, '99.5 min'), (7560, '2.1 h')
])
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_paths_are_relative_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / 'a' / 'b.pth')) == osp.join('a', 'b.pth')
    assert shown('./a') == 'a' and shown('../a') == '../a' and shown('/') == '/'
    assert shown('mmseg_unsup::picie/x.py') == 'mmseg_unsup::picie/x.py'
    assert shown('torchvision://resnet18') == 'torchvision://resnet18'
