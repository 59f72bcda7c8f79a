# COCO-Stuff 27, ViT-S/16 with weights of DINO, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_vit-s16.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
