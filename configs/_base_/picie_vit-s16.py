# PiCIE with a ViT-S/16; init: a file of DINO, timm or mmpretrain. Views and evaluation sizes are multiples of a patch.
_base_ = './picie.py'
init = 'https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth'
model = dict(
    # images of other sizes are padded to whole patches, and the padding is cut off the prediction
    data_preprocessor=dict(test_cfg=dict(size_divisor=16)),
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='deit-small',
        img_size=224,  # of the position embeddings in the file; the forward pass interpolates them
        patch_size=16,
        out_indices=[11],
        out_type='featmap',
        init_cfg=dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)),
    neck=dict(_delete_=True, type='mmseg_unsup.PlainViTPyramid', embed_dims=384, out_channels=128, init='pca'))
optim_wrapper = dict(optimizer=dict(lr=1e-5))
