# ResNet-50 dilated to stride 8 and DeepLabV3's pyramid pooling; 32-d embeddings and one saliency logit a cell
_base_ = []
from mmseg_unsup.presets import image_preprocessor
init = 'torchvision://resnet50'
model = dict(
    type='mmseg_unsup.MaskContrast',
    data_preprocessor=image_preprocessor(),
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,
        frozen_stages=-1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    decode_head=dict(
        type='mmseg_unsup.EmbeddingHead',
        in_channels=2048,
        channels=256,
        embedding_channels=32,
        dilations=(12, 24, 36),
        dropout_ratio=0.5,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        saliency_threshold=0.5),
    queue_length=256,
    momentum=0.001,  # m = 0.999 of the paper
    anchor='stride',
    cross_rank_negatives=False,
    loss_contrast=dict(type='mmseg_unsup.MaskNCELoss', temperature=0.5),
    loss_saliency=dict(type='mmseg_unsup.BalancedBCELoss'),
    train_cfg=dict(),
    test_cfg=dict(objects='image', pool='logit', descriptor='embedding'))
