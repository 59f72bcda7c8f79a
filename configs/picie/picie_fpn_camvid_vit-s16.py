# CamVid, ViT-S/16 of mmpretrain with weights of DINO, 160 px, 5 epochs
_base_ = ['../_base_/datasets/camvid.py', '../_base_/picie_vit-s16.py']
n_clusters = 11
model = dict(decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    fresh_kmeans=dict(n_clusters=n_clusters), initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
train_cfg = dict(max_epochs=5)
