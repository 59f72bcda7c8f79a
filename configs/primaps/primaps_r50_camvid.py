# PriMaPs-EM on CamVid, 160 px: principal components of a frozen ResNet-50
_base_ = ['../_base_/datasets/camvid.py', '../_base_/primaps.py']
from mmseg_unsup.presets import changed_view_pipeline
init = 'torchvision://resnet50'
size = 160
model = dict(
    backbone=dict(backbone=dict(depth=50, init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init))),
    neck=dict(in_channels=[256, 512, 1024, 2048]),
    decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=changed_view_pipeline(size)))
train_cfg = dict(max_epochs=12, val_interval=12)
