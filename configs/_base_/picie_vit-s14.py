# PiCIE with a ViT-S/14; init: an official file of DINOv2 (n_registers=4 for those with registers)
_base_ = './picie_vit-s16.py'
init = 'https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth'
model = dict(backbone=dict(family='dinov2', patch_size=14, init_cfg=dict(checkpoint=init)))
