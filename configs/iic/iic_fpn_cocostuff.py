# IIC on COCO-Stuff 27, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/iic.py']
n_clusters = 27
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
