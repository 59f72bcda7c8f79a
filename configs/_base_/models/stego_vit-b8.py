# the same of DINO's ViT-B/8
_base_ = './stego_vit-s8.py'
init = 'https://dl.fbaipublicfiles.com/dino/dino_vitbase8_pretrain/dino_vitbase8_pretrain.pth'
model = dict(
    backbone=dict(
        backbone=dict(arch='base', init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init))),
    neck=dict(in_channels=768))
