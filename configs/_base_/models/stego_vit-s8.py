# STEGO as released, beside data: codes of the last patch tokens of DINO's ViT-S/8, learned in 5000 steps of 16 images
# of 224 px, and scored on 320 px with the mean of an image and its mirror image
_base_ = '../stego.py'
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth'
train_size = 224
model = dict(
    backbone=dict(
        type='mmseg_unsup.FrozenBackbone',
        float16=True,  # as a feature cache keeps them: results are the same with and without one
        backbone=dict(
            type='mmseg_unsup.DINOViT',
            family='dino',
            arch='small',
            patch_size=8,
            init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
        out=['tokens']),
    neck=dict(in_channels=384),
    test_cfg=dict(flip=True))
train_cfg = dict(max_epochs=5, steps_per_epoch=1000, val_interval=1)
shortcuts = dict(
    size=['probe_dataloader.**.ResizeForEvaluation.size', 'val_dataloader.**.ResizeForEvaluation.size',
          'test_dataloader.**.ResizeForEvaluation.size'],
    train_size=['train_dataloader.**.ResizeForEvaluation.size'])
