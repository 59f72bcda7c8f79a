# trains on the images of trainaug, without labels, and scores val
_base_ = './labelled_320.py'
data_root = 'data/VOCdevkit/VOC2012'
train_images = dict(
    type='mmseg_unsup.VOC2012Dataset',
    data_root=data_root,
    ann_file='ImageSets/Segmentation/trainaug.txt',
    data_prefix=dict(img_path='JPEGImages'))
val_images = dict(
    type='mmseg_unsup.VOC2012Dataset',
    data_root=data_root,
    ann_file='ImageSets/Segmentation/val.txt',
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'))
train_dataloader = dict(dataset=dict(dataset=train_images))
probe_dataloader = dict(dataset=dict(dataset=train_images))
val_dataloader = dict(dataset=val_images)
test_dataloader = dict(dataset=val_images)
