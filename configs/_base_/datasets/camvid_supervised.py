# CamVid with labels, 160 px: trained on crops of half to all of the height, scored on centre squares as pre-training is
_base_ = []
from mmseg_unsup.presets import eval_pipeline, loader
data_root = 'data/camvid'
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmseg_unsup.CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        ann_file='',
        pipeline=[
            dict(type='mmseg_unsup.LoadImage'),
            dict(type='mmseg_unsup.LoadLabels'),
            dict(type='RandomResize', scale=(10_000, 160), ratio_range=(1., 2.), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(160, 160), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs')
        ]))
val_dataloader = test_dataloader = loader(
    dict(
        type='mmseg_unsup.CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=eval_pipeline(160)),
    batch_size=16,
    num_workers=2)
val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
