# SmooSeg on Cityscapes 27 as released: ViT-S/8, five crops of every image, 3000 steps
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/smooseg_vit-s8.py']
from mmseg_unsup.presets import crop_loader
model = dict(negative_shift=0.5, decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(
    crop_loader({{_base_.train_dataloader.dataset.dataset}}, 224, 32), drop_last=True)
train_cfg = dict(max_epochs=10, steps_per_epoch=300, val_interval=10)
