# what every method here starts from: ResNet-18, lateral sum to 128 channels at stride 4
# path or URL of what the backbone starts from, None for random weights
_base_ = []
from mmseg_unsup.presets import image_preprocessor
init = 'torchvision://resnet18'
model = dict(
    data_preprocessor=image_preprocessor(),
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    neck=dict(type='mmseg_unsup.LateralSumNeck', in_channels=[64, 128, 256, 512], out_channels=128, init='pca'),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
