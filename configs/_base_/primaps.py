# PriMaPs-EM beside data, on principal components of the four stages of a ResNet-18, those of configs/features.
# The released schedule is 2 epochs of k-means and 50 of masks, with 32 images a step.
_base_ = ['./view_training.py', './models/features_r18.py']
from mmseg_unsup.presets import scores_of
model = dict(
    type='mmseg_unsup.PriMaPs',
    gamma=2.,
    decode_head=dict(
        clusters=dict(
            cluster=dict(
                type='mmseg_unsup.AveragedSet',
                of=dict(type='mmseg_unsup.WeightNormSet'),
                momentum=0.02,
                interval=10,
                ramp=True))),
    test_cfg=dict(_delete_=True, mode='whole', cluster_sets=['cluster', 'fresh']))
optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-3))
default_hooks = dict(
    masks=dict(type='mmseg_unsup.PrincipalMaskHook', threshold=0.4),
    prototypes=dict(type='mmseg_unsup.PrincipalStartHook', epochs=2),
    initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
shortcuts = dict(
    size=['train_dataloader.**.PairedCropFlip.size', '*_dataloader.**.ResizeForEvaluation.size'])
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh')
]
