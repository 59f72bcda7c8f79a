# K-means over objects and a linear probe of the trunk, on a checkpoint of maskcontrast_deeplabv3_msrc.py
_base_ = '../maskcontrast/maskcontrast_deeplabv3_msrc.py'
default_hooks = dict(
    probes=dict(
        type='mmseg_unsup.ProbeHook',
        probes=[dict(type='mmseg_unsup.LinearProbe', name='linear', features='trunk', stages=4)]))
test_evaluator = [
    dict(type='mmseg_unsup.ObjectKMeansMetric', repeats=5, seed=1234),
    # beside the end of the schedule, the stage that is best on the labels it is scored on, named so
    dict(
        type='mmseg_unsup.RepeatedIoUMetric',
        prototype_set='linear',
        repeats=4,
        summary='last',
        match='identity',
        prefix='linear')
]
labelled_probe_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=False,  # it is read once
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmseg_unsup.ViewDataset',
        with_labels=True,
        on_error='raise',
        dataset=dict(
            type='mmseg_unsup.MSRCv2Dataset',
            data_root={{_base_.data_root}},
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
        pipeline={{_base_.labelled_probe_pipeline}}))
shortcuts = dict(
    data_root=[
        'train_dataloader.dataset.dataset.data_root', 'probe_dataloader.dataset.dataset.data_root',
        'labelled_probe_dataloader.dataset.dataset.data_root', 'val_dataloader.dataset.data_root',
        'test_dataloader.dataset.data_root'
    ],
    eval_size=[
        'probe_dataloader.dataset.pipeline.1.size', 'labelled_probe_dataloader.dataset.pipeline.2.size',
        'val_dataloader.dataset.pipeline.2.size', 'test_dataloader.dataset.pipeline.2.size'
    ])
