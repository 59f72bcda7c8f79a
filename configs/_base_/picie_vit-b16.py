# PiCIE with a ViT-B/16; init: a file of MAE (CC BY-NC 4.0) or DINO
_base_ = './picie_vit-s16.py'
init = 'https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_base.pth'
model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint=init)), neck=dict(embed_dims=768))
