# CAUSE with the head of linear layers as released, beside data: codes of the last patch tokens of DINO's ViT-S/8,
# learned from images of 224 px, and scored on 320 px with the mean of an image and its mirror image
_base_ = '../cause.py'
from mmseg_unsup.presets import frozen_dino, sizes_apart
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth'
train_size = 224
model = dict(
    backbone=frozen_dino('small', 8, init),
    neck=dict(in_channels=384),
    test_cfg=dict(flip=True))
train_cfg = dict(max_epochs=2, val_interval=1)
shortcuts = sizes_apart()
