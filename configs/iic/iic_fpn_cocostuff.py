# IIC on COCO-Stuff 27, 320 px, 10 epochs
_base_ = ['../_base_/datasets/coco_stuff27.py', '../_base_/iic.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
