# clusters of the features of a frozen ResNet-18 that nobody trains: principal components of its four stages, stride 4
_base_ = './r18_fpn.py'
from mmseg_unsup.presets import frozen_resnet
init = 'torchvision://resnet18'
model = dict(
    type='mmseg_unsup.FrozenSegmentor',
    backbone=dict(_delete_=True, **frozen_resnet(18, init)),
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=128),
    test_cfg=dict(cluster_sets=['fresh'], flip=False, refine=dict(method='exact', temperature=None)))
