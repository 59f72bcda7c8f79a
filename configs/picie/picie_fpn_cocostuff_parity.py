# COCO-Stuff 27 as the released code does it, quirks included
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_parity.py']
from mmseg_unsup.presets import released_view_pipeline
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=released_view_pipeline(320)))
# [10] things and stuff
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ReleasedGroupsIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.ReleasedGroupsIoUMetric', prediction='view1', prefix='view1', show_table=False),
    dict(type='mmseg_unsup.ReleasedGroupsIoUMetric', prediction='view2', prefix='view2', show_table=False)
]
