# CamVid, ViT-S/16 with weights of DINO, 160 px, 5 epochs
_base_ = ['../_base_/datasets/camvid.py', '../_base_/picie_vit-s16.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_cfg = dict(max_epochs=5)
