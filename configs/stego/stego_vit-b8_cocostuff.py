# STEGO on five crops of the images of COCO-Stuff 27, DINO's ViT-B/8, codes of 90 channels
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/models/stego_vit-b8.py']
from mmseg_unsup.presets import crop_loader
model = dict(
    intra=(0.1, 0.12), inter=(1., 0.2), negative=(0.1538476246, 1.), neck=dict(out_channels=90),
    decode_head=dict(in_channels=90, n_clusters={{_base_.n_clusters}}))
train_dataloader = crop_loader(
    {{_base_.train_dataloader.dataset.dataset}}, 224, 16, type='mmseg_unsup.PartnerDataset')
