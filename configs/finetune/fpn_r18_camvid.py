# Semantic FPN on CamVid with the neck of the pre-training: --cfg-options init=PATH; small enough for two CPU cores
_base_ = [
    'mmseg::_base_/models/fpn_r50.py', '../_base_/datasets/camvid_supervised.py',
    '../_base_/schedules/supervised_300.py', '../_base_/supervised_runtime.py', '../_base_/finetune.py'
]
init = 'work_dirs/picie_fpn_camvid/epoch_5.pth'
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(160, 160)),
    backbone=dict(type='ResNet', depth=18, init_cfg={{_base_.backbone_init}}),
    neck=dict(
        _delete_=True,
        type='mmseg_unsup.LateralSumNeck',
        in_channels=[64, 128, 256, 512],
        out_channels=128,
        init_cfg=dict(type='mmseg_unsup.PretrainedNeck', checkpoint=init, averaged=None)),
    decode_head=dict(in_channels=[128], in_index=[0], feature_strides=[4], num_classes=11))
default_hooks = dict(initialization={{_base_.initialization_hook}})
