# Potsdam-3, 320 px, 10 epochs
_base_ = ['../_base_/datasets/potsdam3.py', '../_base_/picie.py']
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
