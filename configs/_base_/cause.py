# CAUSE beside data and backbone: the head of linear layers, constants of the released code. An epoch is short where the
# images are few: the released schedule is two of 15,500 steps of 16 images, and one for the clusters alone.
_base_ = './view_training.py'
from mmseg_unsup.presets import image_preprocessor, scores_of
model = dict(
    type='mmseg_unsup.CAUSE',
    momentum=0.01,  # share of the new weights in the teacher
    bank_length=100,  # of a code
    data_preprocessor=image_preprocessor(),
    neck=dict(type='mmseg_unsup.ResidualProjection', out_channels=90, elementwise=True),
    decode_head=dict(
        type='mmseg_unsup.ClusterHead',
        in_channels=90,
        clusters=dict(cluster=dict(type='mmseg_unsup.ModularitySet'))),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', cluster_sets=['cluster', 'fresh']))
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
default_hooks = dict(
    codebook=dict(type='mmseg_unsup.CodebookHook'),
    initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
shortcuts = dict(size=['*_dataloader.**.ResizeForEvaluation.size'])
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh')
]
