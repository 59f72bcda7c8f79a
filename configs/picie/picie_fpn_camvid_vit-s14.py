# CamVid, ViT-S/14 with weights of DINOv2, 168 px, 5 epochs
_base_ = ['../_base_/datasets/camvid.py', '../_base_/picie_vit-s14.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_cfg = dict(max_epochs=5)
size = 168  # a multiple of a patch
