# The released code on MSRC v2: half its image sizes and small batches, everything else as released
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/picie_parity.py']
from mmseg_unsup.presets import released_view_pipeline
train_dataloader = dict(dataset=dict(pipeline=released_view_pipeline(160)))
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
default_hooks = dict(
    clustering=dict(init_images=192, update_images=32),
    fresh_kmeans=dict(init_images=192, update_images=32))
train_cfg = dict(max_epochs=5)
