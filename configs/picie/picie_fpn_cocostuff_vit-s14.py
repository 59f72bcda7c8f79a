# COCO-Stuff 27, ViT-S/14 of mmpretrain with weights of DINOv2, 322 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_vit-s14.py']
n_clusters = 27
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
size = 322  # a multiple of a patch
shortcuts = dict(size=[
    'train_dataloader.dataset.pipeline.3.size', 'probe_dataloader.dataset.pipeline.1.size',
    'val_dataloader.dataset.pipeline.2.size', 'test_dataloader.dataset.pipeline.2.size'
])
