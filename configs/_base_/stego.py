# STEGO beside data and backbone: codes of 70 channels, constants of the released code for COCO-Stuff with a ViT-S/8.
# An epoch is short where the images are few: the released schedule is 5000 steps of 16 images.
_base_ = './view_training.py'
from mmseg_unsup.presets import scores_of
model = dict(
    type='mmseg_unsup.STEGO',
    data_preprocessor=dict(
        type='mmseg_unsup.MultiViewDataPreProcessor',
        bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    neck=dict(type='mmseg_unsup.ResidualProjection', out_channels=70),
    decode_head=dict(
        type='mmseg_unsup.ClusterHead',
        in_channels=70,
        clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet'))),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', cluster_sets=['cluster', 'fresh']))
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=5e-4), paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.))))
default_hooks = dict(
    neighbours=dict(type='mmseg_unsup.ImageNeighbourHook'),
    initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
shortcuts = dict(size=['*_dataloader.**.ResizeForEvaluation.size'])
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh')
]
