# FCN on CamVid, stride 16: --cfg-options init=PATH; small enough for two CPU cores
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py', '../_base_/datasets/camvid_supervised.py',
    '../_base_/schedules/supervised_300.py', '../_base_/supervised_runtime.py', '../_base_/finetune.py'
]
init = 'work_dirs/picie_fpn_camvid/epoch_5.pth'
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(160, 160)),
    backbone=dict(
        type='ResNet', depth=18, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), init_cfg={{_base_.backbone_init}}),
    decode_head=dict(in_channels=512, channels=128, num_classes=11),
    auxiliary_head=dict(in_channels=256, channels=64, num_classes=11))
default_hooks = dict(initialization={{_base_.initialization_hook}})
