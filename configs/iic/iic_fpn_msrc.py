# IIC on MSRC v2, 160 px, 5 epochs
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/iic.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_cfg = dict(max_epochs=5)
