# PriMaPs-EM on the codes of a run of configs/stego/stego_r18_camvid.py, whose prototypes it goes on from; masks are
# made of the features below the codes. load_from: a checkpoint of that run
_base_ = ['../_base_/datasets/camvid.py', '../_base_/primaps.py']
from mmseg_unsup.presets import changed_view_pipeline
size = 160
load_from = 'work_dirs/stego_r18_camvid/epoch_40.pth'
model = dict(
    mask_index=0,
    backbone=dict(out=['layer3']),
    neck=dict(_delete_=True, type='mmseg_unsup.ResidualProjection', in_channels=256, out_channels=70),
    decode_head=dict(in_channels=70, n_clusters={{_base_.n_clusters}}))
train_dataloader = dict(dataset=dict(pipeline=changed_view_pipeline(size)))
default_hooks = dict(masks=dict(enlarge=4), prototypes=dict(epochs=0))
train_cfg = dict(max_epochs=10, val_interval=10)
