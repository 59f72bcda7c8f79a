# Semantic FPN on CamVid with the neck of the pre-training: --cfg-options init=PATH; small enough for two CPU cores
_base_ = [
    '../_base_/models/fpn_r18.py', '../_base_/datasets/camvid_supervised.py', '../_base_/schedules/supervised_300.py',
    '../_base_/supervised_runtime.py'
]
init = 'work_dirs/picie_fpn_camvid/epoch_5.pth'
model = dict(
    data_preprocessor=dict(size=(160, 160)),
    neck=dict(init_cfg=dict(checkpoint=init)),
    decode_head=dict(num_classes=11))
default_hooks = dict(initialization={{_base_.initialization_hook}})
