# STEGO on the tiles of Potsdam-3, which are not cropped, DINO's ViT-S/8
_base_ = ['../_base_/datasets/potsdam3.py', '../_base_/models/stego_vit-s8.py']
from mmseg_unsup.presets import probe_pipeline
model = dict(
    intra=(0.67, 0.08), inter=(0.25, 0.02), negative=(0.63, 0.46), decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(
    batch_size=16, dataset=dict(type='mmseg_unsup.PartnerDataset', pipeline=probe_pipeline(224)))
