# SmooSeg on a ViT-S/8 of DINO, as published: trained at 224 px, scored at 320 px.
# init: an official file of DINO (docs/frozen_transformers.md)
_base_ = './smooseg.py'
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth'
train_size = 224
model = dict(
    # of COCO-Stuff
    intra_shift=-0.02,
    negative_shift=0.48,
    backbone=dict(
        backbone=dict(
            _delete_=True,
            type='mmseg_unsup.DINOViT',
            family='dino',
            arch='small',
            patch_size=8,
            init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
        out=['tokens']),
    neck=dict(in_channels=384),
    test_cfg=dict(flip=True))
shortcuts = dict(
    size=['probe_dataloader.**.ResizeForEvaluation.size', 'val_dataloader.**.ResizeForEvaluation.size',
          'test_dataloader.**.ResizeForEvaluation.size'],
    train_size=['train_dataloader.**.ResizeForEvaluation.size'])
