# COCO-Stuff 27, ViT-S/14 with weights of DINOv2, 322 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/picie_vit-s14.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
size = 322  # a multiple of a patch
