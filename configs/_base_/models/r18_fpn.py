# what every method here starts from: ResNet-18, lateral sum to 128 channels at stride 4
# path or URL of what the backbone starts from, None for random weights
init = 'torchvision://resnet18'
model = dict(
    data_preprocessor=dict(
        type='mmseg_unsup.MultiViewDataPreProcessor',
        bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    neck=dict(type='mmseg_unsup.LateralSumNeck', in_channels=[64, 128, 256, 512], out_channels=128, init='pca'),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
