# STEGO beside data and backbone: codes of 70 channels, weights and shifts of the loss from the training images, without
# labels. An epoch is short where the images are few: the released schedule is 5000 steps of 16 images.
_base_ = './view_training.py'
from mmseg_unsup.presets import image_preprocessor, scores_of
model = dict(
    type='mmseg_unsup.STEGO',
    intra='auto',
    inter='auto',
    negative='auto',
    data_preprocessor=image_preprocessor(),
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
    correspondence=dict(type='mmseg_unsup.CorrespondenceHook'),
    initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
shortcuts = dict(size=['*_dataloader.**.ResizeForEvaluation.size'])
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh')
]
