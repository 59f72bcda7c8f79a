# PiCIE with a ViT-S/16; init: an official file of DINO, or one of MAE, iBOT or timm by the same names
_base_ = './picie.py'
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmseg_unsup.DINOViT',
        family='dino',
        arch='small',
        patch_size=16,
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    neck=dict(_delete_=True, type='mmseg_unsup.PlainViTPyramid', embed_dims=384, out_channels=128, init='pca'))
optim_wrapper = dict(optimizer=dict(lr=1e-5))
