# Semantic FPN on Cityscapes, 19 classes, with the neck of the pre-training: --cfg-options init=PATH
_base_ = ['mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py', '../_base_/finetune.py']
init = 'work_dirs/picie_fpn_cityscapes/epoch_10.pth'
model = dict(
    pretrained=None,
    backbone=dict(type='ResNet', depth=18, init_cfg={{_base_.backbone_init}}),
    neck=dict(
        _delete_=True,
        type='mmseg_unsup.LateralSumNeck',
        in_channels=[64, 128, 256, 512],
        out_channels=128,
        init_cfg=dict(type='mmseg_unsup.PretrainedNeck', checkpoint=init, averaged=None)),
    decode_head=dict(in_channels=[128], in_index=[0], feature_strides=[4]))
default_hooks = dict(initialization={{_base_.initialization_hook}})
