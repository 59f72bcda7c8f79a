# COCO-Stuff 27, ConvNeXt-T of mmpretrain, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_convnext-t.py']
n_clusters = 27
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
