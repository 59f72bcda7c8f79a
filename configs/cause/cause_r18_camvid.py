# CAUSE on CamVid, 160 px: codes of layer 3 of a frozen ResNet-18
_base_ = ['../_base_/datasets/camvid.py', '../_base_/models/cause_r18.py']
from mmseg_unsup.presets import probe_pipeline
model = dict(decode_head=dict(n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=probe_pipeline(160)))
train_cfg = dict(max_epochs=20, val_interval=20)
