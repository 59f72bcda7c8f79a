# Cityscapes 27, protocol 'released', 320 px, 10 epochs: the images of the released code, without the quirks of
# ../_base_/picie_parity.py
_base_ = ['../_base_/datasets/cityscapes27_released.py', '../_base_/picie.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
