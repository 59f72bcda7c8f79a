# layer 3 of a frozen ResNet-18, stride 16: what methods learn codes of
_base_ = []
from mmseg_unsup.presets import frozen_resnet, image_preprocessor
init = 'torchvision://resnet18'
model = dict(
    data_preprocessor=image_preprocessor(),
    backbone=frozen_resnet(18, init, out=['layer3']),
    neck=dict(in_channels=256))
