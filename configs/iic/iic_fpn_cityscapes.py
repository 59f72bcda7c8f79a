# IIC on Cityscapes 27, protocol 'official_val', 320 px, 10 epochs
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/iic.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
