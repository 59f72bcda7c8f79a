# the same of a ResNet-50
_base_ = './primaps.py'
init = 'torchvision://resnet50'
model = dict(
    backbone=dict(backbone=dict(depth=50, init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init))),
    neck=dict(in_channels=[256, 512, 1024, 2048]))
