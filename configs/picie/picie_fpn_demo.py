# Procedural scenes, a small backbone with random weights: no download, about three minutes on two CPU cores
# (`make demo`)
_base_ = ['../_base_/datasets/procedural_scenes.py', '../_base_/picie.py']
init = None
model = dict(
    backbone=dict(base_channels=32, stem_channels=32, init_cfg=dict(checkpoint=init)),
    neck=dict(in_channels=[32, 64, 128, 256], position=None),
    decode_head=dict(n_clusters={{_base_.n_clusters}}))
default_hooks = dict(
    clustering=dict(init_pixels=50_000),
    fresh_kmeans=dict(init_pixels=50_000))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=8, val_interval=8)
