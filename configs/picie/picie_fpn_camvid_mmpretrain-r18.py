# CamVid, the same ResNet-18 by mmpretrain
_base_ = './picie_fpn_camvid.py'
init = 'torchvision://resnet18'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.ResNet',
        depth=18,
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)))
