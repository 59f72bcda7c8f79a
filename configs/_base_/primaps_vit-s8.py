# PriMaPs-EM on the patch tokens of a ViT-S/8 of DINO, as published: 320 px, masks with the borders of the image.
# init: an official file of DINO (docs/frozen_transformers.md)
_base_ = './primaps.py'
from mmseg_unsup.presets import frozen_dino
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth'
model = dict(
    backbone=dict(_delete_=True, **frozen_dino('small', 8, init)),
    neck=None,
    decode_head=dict(in_channels=384),
    test_cfg=dict(flip=True))
default_hooks = dict(masks=dict(enlarge=4, crf=dict(method='exact', max_cells=1600)))
