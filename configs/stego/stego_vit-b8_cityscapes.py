# STEGO on five crops of the images of Cityscapes 27, DINO's ViT-B/8, codes of 100 channels
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/models/stego_vit-b8.py']
from mmseg_unsup.presets import crop_loader
model = dict(
    intra=(1., 0.45828472207), inter=(0.577453483136995, 0.1754346516), negative=(0.9058762625, 0.3136124189),
    neck=dict(out_channels=100), decode_head=dict(in_channels=100, n_clusters={{_base_.n_clusters}}))
train_dataloader = crop_loader(
    {{_base_.train_dataloader.dataset.dataset}}, 224, 16, type='mmseg_unsup.PartnerDataset')
