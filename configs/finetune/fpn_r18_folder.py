# Semantic FPN with the neck of the pre-training on the labelled images of any folder:
#   --cfg-options data_root=FOLDER labels=LABELLED classes=[sky,road] init=PATH
# The label map of FOLDER/a/b.jpg is LABELLED/a/b.png. The test scores the images that have one, so give it others.
_base_ = [
    'mmseg::_base_/models/fpn_r50.py', '../_base_/schedules/supervised_300.py', '../_base_/supervised_runtime.py',
    '../_base_/finetune.py'
]
from mmseg_unsup.presets import eval_pipeline, loader
data_root = 'data/images'
labels = 'data/labels'
classes = ['thing', 'ground']
init = 'work_dirs/picie_fpn_folder/epoch_10.pth'
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(320, 320)),
    backbone=dict(type='ResNet', depth=18, init_cfg={{_base_.backbone_init}}),
    neck=dict(
        _delete_=True,
        type='mmseg_unsup.LateralSumNeck',
        in_channels=[64, 128, 256, 512],
        out_channels=128,
        init_cfg=dict(type='mmseg_unsup.PretrainedNeck', checkpoint=init, averaged=None)),
    decode_head=dict(in_channels=[128], in_index=[0], feature_strides=[4], num_classes=2))
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),  # fewer images than a batch come more than once in it
    dataset=dict(
        type='mmseg_unsup.LabelledFolder',
        data_root=data_root,
        labels=labels,
        metainfo=dict(classes=classes),
        ann_file='',
        pipeline=[
            dict(type='mmseg_unsup.LoadImage'),
            dict(type='mmseg_unsup.LoadLabels'),
            dict(type='RandomResize', scale=(10_000, 320), ratio_range=(1., 2.), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(320, 320), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs')
        ]))
train_cfg = dict(val_interval=301)
val_cfg = None  # what is held out of a few labelled images would be missed
test_dataloader = loader(
    dict(
        type='mmseg_unsup.LabelledFolder',
        data_root=data_root,
        labels=labels,
        metainfo=dict(classes=classes),
        ann_file='',
        pipeline=eval_pipeline(320, 'full_resolution')),
    batch_size=1,
    num_workers=2)
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
default_hooks = dict(initialization={{_base_.initialization_hook}})
shortcuts = dict(
    labels=['*_dataloader.dataset.labels'],
    classes=['*_dataloader.dataset.metainfo.classes', 'len(model.*_head.num_classes)'])
