# COCO-Stuff 27 as the released code does it, quirks included
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_parity.py']
n_clusters = 27
train_dataloader = dict(dataset=dict(pipeline={{_base_.released_view_pipeline}}))
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
# [10] things and stuff
val_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh', group_definition='legacy_partition'),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='view1',
        prefix='view1',
        show_table=False,
        group_definition='legacy_partition'),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='view2',
        prefix='view2',
        show_table=False,
        group_definition='legacy_partition')
]
test_evaluator = val_evaluator
