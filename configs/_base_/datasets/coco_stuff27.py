# COCO-Stuff 27, 320 px; the curated lists are written by tools/dataset_converters/coco_stuff27.py
_base_ = []
from mmseg_unsup.presets import scene_loaders
data_root = 'data/coco_stuff164k'
n_clusters = 27
size = 320
train_dataloader, probe_dataloader, val_dataloader, test_dataloader = scene_loaders(
    'mmseg_unsup.COCOStuff27Dataset', data_root, size, batch_size=128,
    train=dict(ann_file='curated/train2017.txt', data_prefix=dict(img_path='images/train2017')),
    val=dict(
        ann_file='curated/val2017.txt',
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017')))
