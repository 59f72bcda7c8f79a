# DeepLabV3 on Cityscapes, 19 classes, stock config: --cfg-options init=PATH
_base_ = ['mmseg::deeplabv3/deeplabv3_r50b-d8_4xb2-80k_cityscapes-512x1024.py', '../_base_/finetune.py']
init = 'work_dirs/picie_r50_fpn_cityscapes/epoch_10.pth'
model = dict(pretrained=None, backbone=dict(init_cfg={{_base_.backbone_init}}))
default_hooks = dict(initialization={{_base_.initialization_hook}})
