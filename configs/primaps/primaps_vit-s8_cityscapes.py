# PriMaPs-EM on Cityscapes 27: ViT-S/8, 320 px
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/primaps_vit-s8.py']
from mmseg_unsup.presets import changed_view_pipeline
size = 320
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(batch_size=32, drop_last=True, dataset=dict(pipeline=changed_view_pipeline(size)))
train_cfg = dict(max_epochs=52, val_interval=52)
