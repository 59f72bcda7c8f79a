# The all-MLP head of SegFormer on the four levels of a ResNet, Cityscapes, 19 classes: --cfg-options init=PATH
_base_ = ['mmseg::upernet/upernet_r18_4xb2-40k_cityscapes-512x1024.py', '../_base_/finetune.py']
init = 'work_dirs/picie_fpn_cityscapes/epoch_10.pth'
model = dict(
    pretrained=None,
    backbone=dict(type='ResNet', init_cfg={{_base_.backbone_init}}),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_channels=[64, 128, 256, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
default_hooks = dict(initialization={{_base_.initialization_hook}})
