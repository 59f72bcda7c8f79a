# STEGO beside data: codes of layer 3 of a ResNet-18, stride 16, frozen
_base_ = '../stego.py'
from mmseg_unsup.presets import frozen_resnet
init = 'torchvision://resnet18'
model = dict(
    backbone=frozen_resnet(18, init, out=['layer3']),
    neck=dict(in_channels=256))
