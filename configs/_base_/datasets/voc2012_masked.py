# VOC 2012: trains on trainaug with masks of the same names, JPEGImages/2007_000032.jpg and MASKS/2007_000032.png, and
# scores val
_base_ = './masked.py'
from mmseg_unsup.presets import eval_pipeline
data_root, mask_root = 'data/VOCdevkit/VOC2012', 'data/VOCdevkit/VOC2012/masks'
train_list = dict(ann_file='ImageSets/Segmentation/trainaug.txt', data_prefix=dict(img_path='JPEGImages'))
train_dataloader = dict(dataset=dict(dataset=dict(train_list, data_root=data_root, mask_root=mask_root)))
probe_dataloader = dict(
    dataset=dict(dataset=dict(train_list, type='mmseg_unsup.VOC2012Dataset', data_root=data_root)))
val_dataloader = test_dataloader = dict(
    dataset=dict(
        type='mmseg_unsup.VOC2012Dataset',
        data_root=data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        pipeline=eval_pipeline({{_base_.eval_size}}, 'squash')))
