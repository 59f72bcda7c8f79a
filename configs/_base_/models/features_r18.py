# clusters of the features of a frozen ResNet-18 that nobody trains: principal components of its four stages, stride 4
# path or URL of its weights
init = 'torchvision://resnet18'
model = dict(
    type='mmseg_unsup.FrozenSegmentor',
    data_preprocessor=dict(
        type='mmseg_unsup.MultiViewDataPreProcessor',
        bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    backbone=dict(
        type='mmseg_unsup.FrozenBackbone',
        backbone=dict(
            type='ResNet',
            depth=18,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init))),
    neck=dict(type='mmseg_unsup.LateralSumNeck', in_channels=[64, 128, 256, 512], out_channels=128, init='pca'),
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=128),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', cluster_sets=['fresh']))
