# CamVid, 160 px, 5 epochs: small enough for two CPU cores
_base_ = ['../_base_/datasets/camvid.py', '../_base_/picie.py']
model = dict(
    decode_head=dict(n_clusters={{_base_.n_clusters}}),
    test_cfg=dict(scales=[1.4]))
train_cfg = dict(max_epochs=5)
