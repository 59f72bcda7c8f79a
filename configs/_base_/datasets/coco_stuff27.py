_base_ = './pipelines_320.py'
# the curated lists are written by tools/dataset_converters/coco_stuff27.py
data_root = 'data/coco_stuff164k'
train_images = dict(
    type='mmseg_unsup.COCOStuff27Dataset',
    data_root=data_root,
    ann_file='curated/train2017.txt',
    data_prefix=dict(img_path='images/train2017'))
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmseg_unsup.ViewDataset', dataset=train_images, pipeline={{_base_.view_pipeline}}, on_error='raise'))
probe_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmseg_unsup.ViewDataset', dataset=train_images, pipeline={{_base_.probe_pipeline}}, on_error='raise'))
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmseg_unsup.COCOStuff27Dataset',
        data_root=data_root,
        ann_file='curated/val2017.txt',
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'),
        pipeline={{_base_.eval_pipeline}}))
test_dataloader = val_dataloader
