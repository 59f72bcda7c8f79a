# SmooSeg beside data, on a ResNet-18: codes of 64 channels. The released shifts are in smooseg_vit-s8.py; of features
# of ImageNet labels nearly all correlations are above them, so here they are quantiles.
# An epoch is short where the images are few: the released schedule is 8000 steps of 32 images.
_base_ = ['./view_training.py', './models/frozen_r18.py']
from mmseg_unsup.presets import scores_of
model = dict(
    type='mmseg_unsup.SmooSeg',
    intra_shift=dict(quantile=0.25),
    negative_shift=dict(quantile=0.95),
    neck=dict(type='mmseg_unsup.ResidualProjection', out_channels=64, activation='silu', dropout=0.2),
    decode_head=dict(
        type='mmseg_unsup.ClusterHead',
        in_channels=64,
        clusters=dict(
            cluster=dict(
                type='mmseg_unsup.AveragedSet',
                of=dict(type='mmseg_unsup.CosineClusterSet', unit_start=True),
                momentum=0.002))),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', cluster_sets=['cluster', 'fresh']))
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-4), paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=5.))))
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
shortcuts = dict(size=['*_dataloader.**.ResizeForEvaluation.size'])
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh')
]
