# COCO-Stuff 27, 320 px, 10 epochs: the setting of the paper
_base_ = [
    '../_base_/datasets/coco_stuff27.py', '../_base_/models/picie_r18_fpn.py', '../_base_/schedules/adam_10e.py',
    '../_base_/picie_runtime.py'
]
n_clusters = 27
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
