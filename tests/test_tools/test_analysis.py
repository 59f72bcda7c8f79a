"""The small commands of mmseg_unsup/analysis: views, logs, operations, confusion matrix."""
import cv2
import numpy as np
import pytest
import torch

from mmseg_unsup.analysis import analyze_logs, browse_views, get_flops
from mmseg_unsup.registry import DATASETS
from mmseg_unsup.utils import load_config
from mmseg_unsup.utils.run_logs import RunLog
from ..conftest import ROOT, write_camvid
from ..test_engine.tiny import tiny_config
from .test_train_and_test import SMALL, config


def test_the_second_view_cut_by_the_record_shows_the_first(image_folder, tmp_path):
    cfg = tiny_config(image_folder, tmp_path, draws=True)
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[:] = [step for step in pipeline if 'ForEachView' not in step.type]  # geometry alone
    pipeline[3].size = 64
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.set_key(0, 0)
    flips = set()
    for packed in (dataset[i] for i in range(8)):
        pictures = browse_views.describe_views(packed)
        assert list(pictures) == ['view 1', 'view 2', 'view 2 on the grid of view 1']
        first, _, cut = (picture.astype(float) for picture in pictures.values())
        # smooth images: only the resampling differs
        assert np.abs(first - cut).mean() < 6 < np.abs(first - cut[:, ::-1]).mean()
        flips.add(packed['data_samples'].flip)
    assert flips == {True, False}


def test_the_frame_lies_on_the_crop():
    picture = np.zeros((100, 200, 3), np.uint8)
    framed = browse_views.frame(picture, (0.25, 0.1, 0.75, 0.6), flip=False)
    rows, columns = np.nonzero((framed == browse_views.FRAME).all(2))
    # lines two pixels wide, centred on the border of the box
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((10, 59, 50, 149), abs=1)
    assert (browse_views.frame(picture, (0.25, 0.1, 0.75, 0.6), flip=True) != framed).any()
    assert not picture.any()


def test_objects_of_masked_views_are_coloured():
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    masks = torch.zeros(2, 20, 20, dtype=torch.uint8)
    masks[0, :10], masks[1, :, :5] = 1, 2
    sample = SegDataSample()
    sample.set_data(dict(view_masks=PixelData(data=masks)))
    views = [torch.full((3, 20, 20), 90, dtype=torch.uint8)] * 2
    pictures = browse_views.describe_views(dict(inputs=views, data_samples=sample))
    assert list(pictures) == ['view 1', 'view 2']
    assert ((pictures['view 1'] == 90).all(2) == (np.arange(20) > 9)[:, None]).all()
    assert ((pictures['view 2'] == 90).all(2) == (np.arange(20) > 4)[None]).all()


def test_browsing(image_folder, tmp_path, tool):
    options = [f'data_root={image_folder}', 'size=32']
    tool('browse-views', config('picie_fpn_folder'), tmp_path / 'a.png', '--images', 3, '--cfg-options',
         *options)
    assert cv2.imread(str(tmp_path / 'a.png')).shape == (24 + 3 * 206, 6 + 3 * 206, 3)
    with pytest.raises(FileNotFoundError, match='images/train. does not exist'):
        tool('browse-views', f'{ROOT}/configs/finetune/fpn_r18_camvid.py', tmp_path / 'b.png',
             '--cfg-options', f'data_root={image_folder}')
    assert not (tmp_path / 'b.png').exists()


LOGS = [RunLog(steps=[dict(iter=1, loss=2.), dict(iter=2, loss=1.)],
               evaluations={0: dict(mIoU=10.), 5: dict(mIoU=20.55)},
               phases={1: dict(train=1.5), 2: dict(train=2.5)}),
        RunLog(evaluations={3: dict(mIoU=30., aAcc=40.)})]


def test_runs_are_compared(tmp_path):
    runs = [str(tmp_path / name / 'picie') for name in 'ab']
    for lr, run in zip((1, 2), runs):
        (tmp_path / run / 'now').mkdir(parents=True)
        (tmp_path / run / 'picie.py').write_text(f'optim_wrapper = dict(optimizer=dict(lr={lr}, type="Adam"))\n')
    (tmp_path / runs[0] / 'now' / 'now.log').write_text('labels seen by the initial weights: none\n')
    assert analyze_logs.names_of(runs) == ['a/picie', 'b/picie']
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in analyze_logs.table(['a', 'b'], LOGS, runs, []).splitlines()]
    assert rows == [['', 'a', 'b'], ['---'] * 3, ['last evaluation', '5', '3'], ['mIoU', '20.55', '30'],
                    ['aAcc', '-', '40'], ['seconds', '4', '-'], ['labels seen', 'none', 'unknown'],
                    ['optim_wrapper.optimizer.lr', '1', '2']]
    assert analyze_logs.curve(LOGS[0], 'loss') == [(1, 2.), (2, 1.)]
    assert analyze_logs.curve(LOGS[0], 'mIoU') == [(0, 10.), (5, 20.55)]
    analyze_logs.plot(['a', 'b'], LOGS, ['loss', 'mIoU'], str(tmp_path / 'curves.png'))
    assert cv2.imread(str(tmp_path / 'curves.png')).shape == (480, 1440, 3)
    for key, told in (('IoU', 'did you mean mIoU[?]'), ('xyz', 'choose from iter, loss, mIoU, aAcc')):
        with pytest.raises(ValueError, match=f"^no run has logged '{key}': {told}$"):
            analyze_logs.plot(['a', 'b'], LOGS, [key], str(tmp_path / 'curves.png'))
    with pytest.raises(ValueError, match='twice'):
        analyze_logs.names_of([runs[0], runs[0]])


def test_operations_of_a_prediction():
    options = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8,
               'model.neck.in_channels': [8, 16, 32, 64], 'model.neck.out_channels': 16,
               'model.decode_head.in_channels': 16, 'model.decode_head.n_clusters': 27}
    model = get_flops.build_random(load_config(config('picie_fpn_folder'), options))
    small, large = (get_flops.count_operations(model, (side, side)) for side in (64, 128))
    # without the layers of a fixed size there are none: four times the pixels, four times the work
    assert large['backbone'] == 4 * small['backbone'] and sum(small[part] for part in small if part) == small['']
    # the head: a product of 16 channels with 27 prototypes per cell of a stride of 4
    assert small['decode_head'] == pytest.approx(16 * 16 * 16 * 27, rel=0.2)
    # the stem: 3 to 8 channels by 7 x 7 at stride 2; it is a small part
    assert small['backbone'] > 32 * 32 * 3 * 8 * 49


def test_a_confusion_matrix_needs_labels(tmp_path, tool):
    """Said before the checkpoint is read."""
    with pytest.raises(ValueError, match='picie_fpn_folder.py evaluates without labels: a confusion matrix needs a'):
        tool('confusion-matrix', config('picie_fpn_folder'), tmp_path / 'none.pth', tmp_path / 'confusion.png')


def test_the_confusion_matrix_of_a_checkpoint(tmp_path, tool):
    write_camvid(tmp_path / 'camvid')
    options = ['--cfg-options', f'data_root={tmp_path / "camvid"}', *SMALL]
    run = tmp_path / 'run'
    tool('train', config('picie_fpn_camvid'), '--work-dir', run, *options, 'train_cfg.max_epochs=1')
    report = (run / 'report.html').read_text()
    assert 'confusion matrix' in report and '1 of 1 epochs' in report and '<th scope="row">fresh' not in report
    shown = cv2.imread(str(next(run.rglob('vis_image/confusion_matrix_1.png'))))
    tool('confusion-matrix', config('picie_fpn_camvid'), run / 'epoch_1.pth',
         tmp_path / 'confusion.png', '--work-dir', tmp_path / 'test', *options)
    assert (cv2.imread(str(tmp_path / 'confusion.png')) == shown).all()  # the checkpoint carries its clusters
