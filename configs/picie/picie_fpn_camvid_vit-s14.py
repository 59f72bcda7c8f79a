# CamVid, ViT-S/14 of mmpretrain with weights of DINOv2, 168 px, 5 epochs
_base_ = ['../_base_/datasets/camvid.py', '../_base_/picie_vit-s14.py']
n_clusters = 11
model = dict(decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    fresh_kmeans=dict(n_clusters=n_clusters), initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
train_cfg = dict(max_epochs=5)
size = 168  # a multiple of a patch
shortcuts = dict(size=[
    'train_dataloader.dataset.pipeline.3.size', 'probe_dataloader.dataset.pipeline.1.size',
    'val_dataloader.dataset.pipeline.2.size', 'test_dataloader.dataset.pipeline.2.size'
])
