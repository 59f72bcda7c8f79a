# STEGO beside data: codes of layer 3 of a ResNet-18, stride 16, frozen
_base_ = '../stego.py'
init = 'torchvision://resnet18'
model = dict(
    backbone=dict(
        type='mmseg_unsup.FrozenBackbone',
        float16=True,  # as a feature cache keeps them: results are the same with and without one
        backbone=dict(
            type='ResNet',
            depth=18,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
        out=['layer3']),
    neck=dict(in_channels=256))
