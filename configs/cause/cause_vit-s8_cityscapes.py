# CAUSE on five crops of the images of Cityscapes 27, DINO's ViT-S/8, head of linear layers
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/models/cause_vit-s8.py']
from mmseg_unsup.presets import crop_loader
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
default_hooks = dict(codebook=dict(steps=930))
optim_wrapper = dict(clip_grad=dict(max_norm=1.))
train_dataloader = crop_loader(
    {{_base_.train_dataloader.dataset.dataset}}, 224, 16)
