# clusters of the features of a frozen ResNet-18 that nobody trains: principal components of its four stages, stride 4
_base_ = './r18_fpn.py'
init = 'torchvision://resnet18'
model = dict(
    type='mmseg_unsup.FrozenSegmentor',
    backbone=dict(
        _delete_=True,
        type='mmseg_unsup.FrozenBackbone',
        float16=True,  # as a feature cache keeps them: results are the same with and without one
        backbone=dict(
            type='ResNet',
            depth=18,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init))),
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=128),
    test_cfg=dict(cluster_sets=['fresh'], flip=False, refine=dict(method='exact', temperature=None)))
