# PriMaPs-EM on CamVid, 160 px: principal components of a frozen ResNet-50
_base_ = ['../_base_/datasets/camvid.py', '../_base_/primaps_r50.py']
from mmseg_unsup.presets import changed_view_pipeline
size = 160
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=changed_view_pipeline(size)))
train_cfg = dict(max_epochs=12, val_interval=12)
