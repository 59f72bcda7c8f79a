"""The example of docs/add_a_method.md is a method: two files beside an installed package."""
import os.path as osp
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from .conftest import NO_WORKERS, ROOT, run_log, write_camvid
from .test_packaging import run_scripts, wheel  # noqa: F401

DOCUMENT = open(osp.join(ROOT, 'docs', 'add_a_method.md'), encoding='utf-8').read()
# path -> code
FILES = {path: code for code, path in re.findall(r'```python\n(# (\S+\.py)\n.*?)```', DOCUMENT, re.S)}
SEGMENTOR, CONFIG = 'my_method/dense_barlow.py', 'my_method/dense_barlow_camvid.py'
SMALL = [
    *NO_WORKERS, 'data_root=data', 'init=None', 'model.backbone.backbone.base_channels=8',
    'model.backbone.backbone.stem_channels=8', 'model.neck.in_channels=[8,16,32,64]', 'model.neck.out_channels=16',
    'model.decode_head.in_channels=16', 'train_dataloader.batch_size=2', 'size=32', 'n_clusters=3',
    'train_cfg.max_epochs=2', 'train_cfg.val_interval=1'
]


def test_the_example_is_short():
    assert set(FILES) == {SEGMENTOR, CONFIG}
    assert sum(len(code.splitlines()) for code in FILES.values()) <= 55
    assert max(map(len, '\n'.join(FILES.values()).splitlines())) <= 120


def test_its_loss_is_equation_1():
    names = {}
    exec(FILES[SEGMENTOR].replace('@MODELS.register_module()\n', ''), names)
    views = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))  # V, N, C, h, w
    model = SimpleNamespace(student_map=lambda images: images, redundancy_weight=0.1)
    whole = SimpleNamespace(crop_box=(0., 0., 1., 1.), flip=False)
    losses = names['DenseBarlowTwins'].loss(model, list(views), [whole] * 3)
    units = (view / view.norm(dim=1, keepdim=True) for view in views.double())
    first, second = (view.permute(0, 2, 3, 1).reshape(-1, 4).numpy() for view in units)
    expected = dict(loss_invariance=0., loss_redundancy=0.)
    for i in range(4):
        for j in range(4):
            # divided by n where the standard deviations have n - 1
            correlation = np.corrcoef(first[:, i], second[:, j])[0, 1] * 89 / 90
            if i == j:
                expected['loss_invariance'] += (1 - correlation)**2
            else:
                expected['loss_redundancy'] += 0.1 * correlation**2
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_it_trains_resumes_and_predicts(wheel, tmp_path):  # noqa: F811
    write_camvid(tmp_path / 'data')
    for path, code in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)

    def command(tool, *arguments):
        return [str(wheel / 'mmseg_unsup' / '.mim' / 'tools' / tool), CONFIG, *arguments, '--cfg-options', *SMALL]

    (tmp_path / 'half_a_run.py').write_text("import shutil; shutil.copy('whole/epoch_1.pth', 'resumed')")
    (tmp_path / 'resumed').mkdir()
    run_scripts(wheel, tmp_path, command('train.py', '--work-dir', 'whole'), ['half_a_run.py'],
                command('train.py', '--work-dir', 'resumed', '--resume'),
                command('predict.py', 'resumed/epoch_2.pth', 'data/images/val', '--out', 'predicted'))

    def result(work_dir):
        log = run_log(tmp_path / work_dir)
        weights = torch.load(tmp_path / work_dir / 'epoch_2.pth', weights_only=False)['state_dict']
        return re.findall(r'Epoch\(val\) \[(\d)\].*aAcc: [\d.]+  mIoU: ([\d.]+)', log), weights

    scores, weights = result('whole')
    assert [epoch for epoch, *_ in scores] == ['0', '1', '2']
    assert len(weights['decode_head.clusters.fresh.weight']) == 3
    before = torch.load(tmp_path / 'whole' / 'epoch_1.pth', weights_only=False)['state_dict']
    moved = {name.split('.')[0] for name in before
             if before[name].shape != weights[name].shape or not torch.equal(before[name], weights[name])}
    assert moved == {'neck', 'decode_head'}  # the backbone is frozen

    resumed_scores, resumed = result('resumed')
    assert resumed_scores[-1] == scores[-1]
    assert all(torch.equal(resumed[name], weight) for name, weight in weights.items())
    assert len(list((tmp_path / 'predicted' / 'maps').rglob('*.png'))) == 4
