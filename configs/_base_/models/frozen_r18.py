# layer 3 of a frozen ResNet-18, stride 16: what methods learn codes of
init = 'torchvision://resnet18'
model = dict(
    data_preprocessor=dict(
        type='mmseg_unsup.MultiViewDataPreProcessor',
        bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
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
