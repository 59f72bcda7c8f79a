# VOC 2012, masks of a supervised saliency network (mask_root), ImageNet weights, half the backbone frozen: the
# supervised setting of the paper. The batch is that of all GPUs together.
_base_ = './maskcontrast_deeplabv3_voc.py'
init = 'torchvision://resnet50'
model = dict(backbone=dict(frozen_stages=2, init_cfg=dict(checkpoint=init)), queue_length=128)
train_dataloader = dict(batch_size=64)
