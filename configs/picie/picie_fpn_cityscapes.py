# Cityscapes 27, protocol 'official_val', 320 px, 10 epochs; the learning rate is that of the released code, in
# sh_files/train_picie_cityscapes.sh
_base_ = ['../_base_/datasets/cityscapes27.py', '../_base_/picie.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
