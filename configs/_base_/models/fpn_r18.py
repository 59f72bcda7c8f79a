# Semantic FPN with ResNet-18 and the neck of the pre-training
_base_ = ['mmseg::_base_/models/fpn_r50.py', '../finetune.py']
model = dict(
    pretrained=None,
    backbone=dict(type='ResNet', depth=18, init_cfg={{_base_.backbone_init}}),
    neck=dict(
        _delete_=True,
        type='mmseg_unsup.LateralSumNeck',
        in_channels=[64, 128, 256, 512],
        out_channels=128,
        init_cfg=dict(type='mmseg_unsup.PretrainedNeck', checkpoint=None, averaged=None)),
    decode_head=dict(in_channels=[128], in_index=[0], feature_strides=[4]))
