# What `mmseg-unsup learn` trains, which takes the network of the model at hand in the place of this one:
#   --cfg-options data_root=FOLDER labels=LABELLED classes=[sky,road] init=PATH
# The label map of FOLDER/a/b.jpg is LABELLED/a/b.png. Only its model predicts by the commands of this package.
_base_ = ['../_base_/models/fpn_r18.py', '../_base_/schedules/supervised_300.py', '../_base_/runtime.py']
from mmseg_unsup.presets import eval_pipeline, image_preprocessor, loader, taught_loader
data_root = 'data/images'
labels = 'data/labels'
classes = ['thing', 'ground']
init = 'work_dirs/picie_fpn_folder/epoch_10.pth'
model = dict(
    type='mmseg_unsup.TaughtSegmentor',
    data_preprocessor=dict(_delete_=True, size_divisor=1, **image_preprocessor()),  # crops are alike
    neck=dict(init_cfg=dict(checkpoint=init)),
    decode_head=dict(
        _delete_=True,
        type='mmseg_unsup.ClusterHead',
        in_channels=128,
        n_clusters=2,
        clusters=dict(taught=dict(type='mmseg_unsup.TaughtSet'))),
    class_weight=None,
    train_cfg=dict(),
    test_cfg=dict(_delete_=True, mode='whole', cluster_sets=['taught']))
train_dataloader = taught_loader(
    dict(
        type='mmseg_unsup.LabelledFolder',
        data_root=data_root,
        labels=labels,
        metainfo=dict(classes=classes),
        ann_file=''),
    size=160,
    batch_size=8)
# ten rounds, of so many steps, so that a line tells of each
train_cfg = dict(_delete_=True, type='mmseg_unsup.ResumableTrainLoop', max_epochs=10, steps_per_epoch=20)
val_cfg = None  # what is held out of a few labelled images would be missed
test_dataloader = loader(
    dict(train_dataloader['dataset']['dataset']['dataset'], pipeline=eval_pipeline(160, 'full_resolution')),
    batch_size=1)
test_evaluator = dict(type='mmseg_unsup.ClusterIoUMetric', prediction='taught', match='identity')
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(type='mmseg_unsup.AtomicCheckpointHook', interval=1, max_keep_ckpts=1),
    check_data=dict(type='mmseg_unsup.CheckDataHook'),
    initialization={{_base_.initialization_hook}},
    non_finite=dict(type='mmseg_unsup.NonFiniteHook'),
    preemption=dict(type='mmseg_unsup.PreemptionHook'),
    precision=dict(type='mmseg_unsup.PrecisionHook'),
    view_epoch=dict(type='mmseg_unsup.ViewEpochHook'),
    train_progress=dict(type='mmseg_unsup.TrainProgressHook'))
shortcuts = dict(
    labels=['*_dataloader.**.labels'],
    classes=['*_dataloader.**.metainfo.classes', 'len(model.decode_head.n_clusters)'])
