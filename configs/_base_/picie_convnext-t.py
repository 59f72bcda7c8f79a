# PiCIE with a ConvNeXt-T; init: a file of its authors, of timm, torchvision or mmpretrain
_base_ = './picie.py'
init = 'https://dl.fbaipublicfiles.com/convnext/convnext_tiny_1k_224_ema.pth'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.ConvNeXt',
        arch='tiny',
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    neck=dict(in_channels=[96, 192, 384, 768]))
