# SmooSeg on a ViT-S/8 of DINO, as published: trained at 224 px, scored at 320 px.
# init: an official file of DINO (docs/frozen_transformers.md)
_base_ = './smooseg.py'
from mmseg_unsup.presets import frozen_dino, sizes_apart
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth'
train_size = 224
model = dict(
    # of COCO-Stuff
    intra_shift=-0.02,
    negative_shift=0.48,
    backbone=dict(_delete_=True, **frozen_dino('small', 8, init)),
    neck=dict(in_channels=384),
    test_cfg=dict(flip=True))
shortcuts = sizes_apart()
