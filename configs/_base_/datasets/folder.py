# any folder of images: trains on all of them and writes a cluster map of each
_base_ = './pipelines_320.py'
data_root = 'data/images'
images = dict(type='mmseg_unsup.UnlabelledFolder', data_root=data_root)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmseg_unsup.ViewDataset', dataset=images, pipeline={{_base_.view_pipeline}}, on_error='raise'))
probe_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmseg_unsup.ViewDataset', dataset=images, pipeline={{_base_.probe_pipeline}}, on_error='raise'))
val_dataloader = dict(
    batch_size=1,  # the images may differ in size
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmseg_unsup.UnlabelledFolder',
        data_root=data_root,
        on_error='raise',
        pipeline=[
            dict(type='mmseg_unsup.LoadImage'),
            dict(type='mmseg_unsup.ResizeForEvaluation', size=320, protocol='full_resolution'),
            dict(type='PackSegInputs')
        ]))
test_dataloader = val_dataloader
