# MSRC v2: trains on its training images; masks by path
_base_ = './masked.py'
from mmseg_unsup.presets import eval_pipeline
data_root, mask_root = 'data/msrc_v2', 'data/msrc_v2/masks/train'
train_dataloader = dict(
    dataset=dict(dataset=dict(data_root=data_root, mask_root=mask_root, data_prefix=dict(img_path='images/train'))))
probe_dataloader = dict(
    dataset=dict(dataset=dict(
        type='mmseg_unsup.MSRCv2Dataset', data_root=data_root, data_prefix=dict(img_path='images/train'))))
val_dataloader = test_dataloader = dict(
    dataset=dict(
        type='mmseg_unsup.MSRCv2Dataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=eval_pipeline({{_base_.eval_size}}, 'squash')))
