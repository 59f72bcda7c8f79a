# VOC 2012, masks without labels (mask_root), MoCo v2 weights: the unsupervised setting of the paper. The batch is that
# of all GPUs together: divide it by their number.
_base_ = [
    '../_base_/models/maskcontrast_deeplabv3_r50.py',
    '../_base_/datasets/voc2012_masked.py',
    '../_base_/maskcontrast.py'
]
init = 'https://dl.fbaipublicfiles.com/moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar'
model = dict(backbone=dict(init_cfg=dict(checkpoint=init)), queue_length=256)
train_dataloader = dict(batch_size=128)
