# clusters of the features of a frozen transformer that nobody trains: principal components of its last patch tokens.
# init: an official file of DINO, DINOv2 or DINOv3, which decides family, size, patch and registers
# (docs/frozen_transformers.md)
_base_ = './features_r18.py'
from mmseg_unsup.presets import frozen_dino
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth'
model = dict(
    backbone=dict(_delete_=True, **frozen_dino('small', 16, init)),
    neck=dict(in_channels=[384], level_weights=[1.]))
