# CAUSE beside data: codes of layer 3 of a ResNet-18, stride 16, frozen; 10 x 10 cells of an image of 160 px
_base_ = '../cause.py'
from mmseg_unsup.presets import frozen_resnet
init = 'torchvision://resnet18'
model = dict(
    backbone=frozen_resnet(18, init, out=['layer3']),
    neck=dict(in_channels=256),
    n_codes=256,
    projection_channels=256)
# all cells: as many of an image as the released code keeps
default_hooks = dict(codebook=dict(side=1, steps=200))
