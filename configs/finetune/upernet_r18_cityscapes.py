# UPerNet on Cityscapes, 19 classes, stock config with a plain ResNet in the place of ResNetV1c: --cfg-options init=PATH
_base_ = ['mmseg::upernet/upernet_r18_4xb2-40k_cityscapes-512x1024.py', '../_base_/finetune.py']
init = 'work_dirs/picie_fpn_cityscapes/epoch_10.pth'
model = dict(pretrained=None, backbone=dict(type='ResNet', init_cfg={{_base_.backbone_init}}))
default_hooks = dict(initialization={{_base_.initialization_hook}})
