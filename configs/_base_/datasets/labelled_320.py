# images/{train,val} and labels/{train,val} below data_root, 320 px; a data set names its type and root
_base_ = './pipelines_320.py'
data_root = 'data'
train_images = dict(type='mmseg_unsup.LabelledDataset', data_root=data_root, data_prefix=dict(img_path='images/train'))
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
        type='mmseg_unsup.LabelledDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline={{_base_.eval_pipeline}}))
test_dataloader = val_dataloader
