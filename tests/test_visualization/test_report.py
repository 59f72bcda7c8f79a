"""The report of a run: its curves by their points, its numbers by hand."""
import re

import numpy as np
import pytest

from mmseg_unsup.utils.run_logs import RunLog, read_run_log
from mmseg_unsup.visualization.line_chart import line_chart
from mmseg_unsup.visualization.report_page import RunFacts, render_report


def points_of(svg: str, line: int) -> list:
    """Places (x, y) of the markers of a line in the drawing."""
    found = re.findall(rf'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: var\(--line-{line}\)', svg)
    return [tuple(map(float, point)) for point in found]


def test_points_lie_where_their_values_are():
    lines = {'a<b': [(0, 0.), (5, 50.), (10, 100.)], 'c': [(0, 100.), (10, 0.)]}
    svg = line_chart(lines, 'epoch')
    (x0, y0), (x1, y1), (x2, y2) = points_of(svg, 0)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y2
    assert points_of(svg, 1) == [(x0, y2), (x2, y0)]
    # the ticks of both axes are at the values that they name
    ticks = re.findall(r'M [\d.]+ ([\d.]+)[^"]*"[^>]*stroke: var\(--line\);.*?<text [^>]*>([\d.]+)</text>', svg, re.S)
    heights = {label: float(y) for y, label in ticks}
    assert heights['0'] == y0 and heights['100'] == y2
    assert '<title>a&lt;b 50 at 5</title>' in svg and 'a<b' not in svg and svg == line_chart(lines, 'epoch')


@pytest.mark.parametrize('value', [0., 1e-4, -3.])
def test_a_constant_and_a_single_point(value):
    svg = line_chart({'lr': [(1, value)]}, 'iteration')
    (_, y), = points_of(svg, 0)
    assert 7 < y < 154 and 'nan' not in svg


LOG = RunLog(
    steps=[dict(iter=i, step=i, epoch=1, lr=0.1, loss=3. / i, loss_within=1. / i, time=0.1) for i in (1, 2, 4)],
    evaluations={0: {'mIoU': 12.3456, 'linear/mIoU': 1.}, 2: {'mIoU': 23.4567, 'mIoU_std': 0.5, 'linear/mIoU': 2.},
                 1: {'mIoU': 99.}},
    phases={1: dict(cluster=10., train=20.), 2: dict(cluster=10., train=40., evaluate=20.)})


def facts(**changes):
    return RunFacts(**dict(dict(title='picie <b>', unit='epoch', n_images=200, facts={'Seed': '3'},
                                software={'torch': '2.4.1'}, settings='lr = "<i>"',
                                pictures=dict(sizes=np.zeros((4, 5, 3), np.uint8))), **changes))


def test_small_values_are_short():
    """Ticks of a learning rate fit the margin."""
    svg = line_chart({'lr': [(1, 1e-4), (2, 1.6e-4)]}, 'iteration')
    assert '>1.6e-4</text>' in svg and '<title>lr 1e-4 at 1</title>' in svg
    assert max(len(text) for text in re.findall('>([^<]*)</text>', svg) if text != 'iteration') <= 7


def test_numbers_of_the_page():
    page = render_report(facts(), LOG)
    cells = [re.findall(r'<t[hd][^>]*>\s*([^<]*?)\s*</t[hd]>', row)
             for row in re.findall(r'<tr>(.*?)</tr>', page, re.S)]
    assert ['Score', 'epoch 0', 'epoch 2'] in cells and ['mIoU', '12.35', '23.46'] in cells
    assert ['linear/mIoU', '1.00', '2.00'] in cells and ['mIoU_std', '-', '0.50'] in cells
    # 20 of 100 seconds are clustering; 200 images in 20 and in 40 seconds
    assert ['1', '10.0', '20.0', '', '10.0'] in cells and ['2', '10.0', '40.0', '20.0', '5.0'] in cells
    assert ['share', '20 %', '60 %', '20 %', ''] in cells
    titles = re.findall(r'<figcaption>([\w, ]+?)\s*[<]', page)
    assert titles == ['Loss', 'Learning rate', 'Scores', 'Scores, linear', 'sizes']
    assert len(re.findall(r'<path [^>]*stroke: var\(--line-\d\); [^>]*stroke-linecap', page)) == 5


def test_the_page_is_one_file_and_text_stays_text():
    page = render_report(facts(), LOG)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and 'http' not in page and '@import' not in page
    assert 'picie &lt;b&gt;' in page and 'lr = &#34;&lt;i&gt;&#34;' in page and '<b>' not in page


def test_a_run_without_scores_has_a_page():
    page = render_report(facts(pictures={}), RunLog(steps=[dict(iter=1, step=1, loss=1.)]))
    assert 'id="scores"' not in page and 'id="times"' not in page and 'id="curves"' in page


def test_a_continued_run_counts_what_came_last(tmp_path):
    for name, lines in (('1', ['{"iter": 1, "step": 1, "loss": 1.0}', '{"iter": 2, "step": 2, "loss": 9.0}',
                               '{"seconds/train": 9.0, "step": 1}', '{"mIoU": 1.0, "time": 2, "step": 1}',
                               '{"iter": 3,']),
                        ('2', ['{"iter": 2, "step": 2, "loss": 2.0}', '{"seconds/train": 3.0, "step": 1}'])):
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        (tmp_path / name / 'vis_data' / 'scalars.json').write_text('\n'.join(lines) + '\n')
    log = read_run_log(str(tmp_path))
    assert [step['loss'] for step in log.steps] == [1., 2.]
    assert log.phases == {1: dict(train=3.)} and log.evaluations == {1: dict(mIoU=1.)}
    with pytest.raises(FileNotFoundError, match='LocalVisBackend'):
        read_run_log(str(tmp_path / '1'))
