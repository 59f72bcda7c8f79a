# MSRC v2, clusters of a frozen ResNet-50: test CONFIG none
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/models/features_r50.py', '../_base_/features.py']
model = dict(
    decode_head=dict(n_clusters={{_base_.n_clusters}}),
    test_cfg=dict(scales=[1.4]))
train_dataloader = None  # nothing trains
