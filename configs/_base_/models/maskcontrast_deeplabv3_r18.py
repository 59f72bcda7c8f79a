# the same on ResNet-18, 128 channels, stride 16: for two CPU cores
_base_ = './maskcontrast_deeplabv3_r50.py'
init = 'torchvision://resnet18'
model = dict(
    backbone=dict(
        depth=18,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    # half the dilations of stride 8, as DeepLabV3 has them at stride 16; the maps are a few cells wide:
    # half again
    decode_head=dict(in_channels=512, channels=128, dilations=(3, 6, 9)))
