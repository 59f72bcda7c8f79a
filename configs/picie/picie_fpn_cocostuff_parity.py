# COCO-Stuff 27 as the released code does it, quirks included
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_parity.py']
n_clusters = 27
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='mmseg_unsup.LoadImage'),
        dict(type='mmseg_unsup.CenterSquareCrop', size=640),
        dict(type='mmseg_unsup.MakeViews', num_views=2),
        dict(
            type='mmseg_unsup.ForEachView',  # [1] before the crop
            transforms=[
                dict(type='mmseg_unsup.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, prob=0.8),
                dict(type='mmseg_unsup.GaussianBlur', sigma=(-1.8, 0.1), prob=0.5)  # [2] [3]
            ]),
        dict(type='mmseg_unsup.PairedCropFlip', size=320, scale=(0.5, 1.0), flip_prob=0.5),
        dict(type='mmseg_unsup.PackViews')
    ]))
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
# [10] things and stuff
val_evaluator = [
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='fresh', group_definition='legacy_partition'),
    dict(
        type='mmseg_unsup.HungarianIoUMetric',
        prototype_set='view1',
        prefix='view1',
        show_table=False,
        group_definition='legacy_partition'),
    dict(
        type='mmseg_unsup.HungarianIoUMetric',
        prototype_set='view2',
        prefix='view2',
        show_table=False,
        group_definition='legacy_partition')
]
test_evaluator = val_evaluator
