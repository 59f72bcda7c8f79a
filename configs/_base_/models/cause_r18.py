# CAUSE beside data: codes of layer 3 of a ResNet-18, stride 16, frozen; 10 x 10 cells of an image of 160 px
_base_ = '../cause.py'
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
    neck=dict(in_channels=256),
    n_codes=256,
    projection_channels=256)
# all cells: as many of an image as the released code keeps
default_hooks = dict(codebook=dict(side=1, steps=200))
