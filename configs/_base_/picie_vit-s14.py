# PiCIE with a ViT-S/14; init: a file of DINOv2 (without registers)
_base_ = './picie_vit-s16.py'
init = 'https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth'
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=14)),
    backbone=dict(
        arch='dinov2-small',
        img_size=518,
        patch_size=14,
        layer_scale_init_value=1e-5,
        init_cfg=dict(checkpoint=init)))
