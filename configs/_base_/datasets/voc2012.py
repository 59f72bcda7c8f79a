# VOC 2012, 320 px: trains on the images of trainaug, without labels, and scores val
_base_ = []
from mmseg_unsup.presets import scene_loaders
data_root = 'data/VOCdevkit/VOC2012'
n_clusters = 21
size = 320
train_dataloader, probe_dataloader, val_dataloader, test_dataloader = scene_loaders(
    'mmseg_unsup.VOC2012Dataset', data_root, size, batch_size=128,
    train=dict(ann_file='ImageSets/Segmentation/trainaug.txt', data_prefix=dict(img_path='JPEGImages')),
    val=dict(
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass')))
