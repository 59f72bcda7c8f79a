# SmooSeg on COCO-Stuff 27 as released: ViT-S/8, five crops of every image, 8000 steps
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/smooseg_vit-s8.py']
from mmseg_unsup.presets import crop_loader
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(
    crop_loader({{_base_.train_dataloader.dataset.dataset}}, 224, 32), drop_last=True)
train_cfg = dict(max_epochs=20, steps_per_epoch=400, val_interval=20)
