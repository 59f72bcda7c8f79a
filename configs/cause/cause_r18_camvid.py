# CAUSE on CamVid, 160 px: codes of layer 3 of a frozen ResNet-18
_base_ = ['../_base_/datasets/camvid.py', '../_base_/cause.py']
from mmseg_unsup.presets import probe_pipeline
init = 'torchvision://resnet18'
size = 160
model = dict(
    backbone=dict(
        type='mmseg_unsup.FrozenBackbone',
        backbone=dict(
            type='ResNet',
            depth=18,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
        out=['layer3']),
    neck=dict(in_channels=256),
    n_codes=256,
    projection_channels=256,
    decode_head=dict(n_clusters={{_base_.n_clusters}}))
# maps of 10 x 10 cells: all of them, as many as the released code keeps of an image
default_hooks = dict(codebook=dict(side=1, steps=200))
train_dataloader = dict(dataset=dict(pipeline=probe_pipeline(size)))
train_cfg = dict(max_epochs=40, val_interval=40)
