# COCO-Stuff 27, 320 px, 10 epochs: the setting of the paper
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie.py']
n_clusters = 27
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
