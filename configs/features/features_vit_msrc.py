# MSRC v2 at 320 px, as the field scores transformers; clusters of a frozen one: test CONFIG none --cfg-options init=FILE
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/models/features_vit.py', '../_base_/features.py']
size = 320
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = None  # nothing trains
