_base_ = './labelled_320.py'
# the curated lists are written by tools/dataset_converters/coco_stuff27.py
data_root = 'data/coco_stuff164k'
train_images = dict(
    type='mmseg_unsup.COCOStuff27Dataset',
    data_root=data_root,
    ann_file='curated/train2017.txt',
    data_prefix=dict(img_path='images/train2017'))
val_images = dict(
    type='mmseg_unsup.COCOStuff27Dataset',
    data_root=data_root,
    ann_file='curated/val2017.txt',
    data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'))
train_dataloader = dict(dataset=dict(dataset=train_images))
probe_dataloader = dict(dataset=dict(dataset=train_images))
val_dataloader = dict(dataset=val_images)
test_dataloader = dict(dataset=val_images)
