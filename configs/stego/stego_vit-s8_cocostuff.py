# STEGO on five crops of the images of COCO-Stuff 27, DINO's ViT-S/8
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/models/stego_vit-s8.py']
from mmseg_unsup.presets import crop_loader
model = dict(
    intra=(0.67, 0.08), inter=(0.25, 0.02), negative=(0.63, 0.66), decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = crop_loader(
    {{_base_.train_dataloader.dataset.dataset}}, 224, 16, type='mmseg_unsup.PartnerDataset')
