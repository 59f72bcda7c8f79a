# COCO-Stuff 27, ViT-S/16 of mmpretrain with weights of DINO, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_vit-s16.py']
n_clusters = 27
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
