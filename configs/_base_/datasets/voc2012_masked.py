# VOC 2012: trains on trainaug with masks of the same names, JPEGImages/2007_000032.jpg and MASKS/2007_000032.png, and
# scores val
_base_ = './masked.py'
data_root, mask_root = 'data/VOCdevkit/VOC2012', 'data/VOCdevkit/VOC2012/masks'
train_list = 'ImageSets/Segmentation/trainaug.txt'
train_images = dict(
    type='mmseg_unsup.VOC2012Dataset',
    data_root=data_root,
    ann_file=train_list,
    data_prefix=dict(img_path='JPEGImages'))
val_images = dict(
    type='mmseg_unsup.VOC2012Dataset',
    data_root=data_root,
    ann_file='ImageSets/Segmentation/val.txt',
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    pipeline={{_base_.eval_pipeline}})
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            data_root=data_root, mask_root=mask_root, data_prefix=dict(img_path='JPEGImages'), ann_file=train_list)))
probe_dataloader = dict(dataset=dict(dataset=train_images))
val_dataloader = dict(dataset=dict(_delete_=True, **val_images))
test_dataloader = dict(dataset=dict(_delete_=True, **val_images))
