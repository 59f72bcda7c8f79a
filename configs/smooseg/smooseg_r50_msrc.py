# SmooSeg on MSRC v2, 160 px: codes of layer 3 of a frozen ResNet-50
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/smooseg_r50.py']
from mmseg_unsup.presets import probe_pipeline
size = 160
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=probe_pipeline(size)))
train_cfg = dict(max_epochs=40, val_interval=40)
