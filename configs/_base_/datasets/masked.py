# images and object masks, two crops of each; a data set names its images and masks
data_root, mask_root = 'data/images', 'data/masks'
objects = 'image'  # one object an image; 'components': several
size = 224  # pixels of the side of a view
eval_size = 512  # evaluation sees every image as a square of this side and scores it at the size of its file
eval_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.LoadLabels'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=eval_size, protocol='squash'),
    dict(type='PackSegInputs')
]
unlabelled_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=eval_size, protocol='squash'),
    dict(type='PackSegInputs')
]
probe_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=eval_size, protocol='squash'),
    dict(type='mmseg_unsup.MakeViews', num_views=1),
    dict(type='mmseg_unsup.PackViews')
]
labelled_probe_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.LoadLabels'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=eval_size, protocol='squash'),
    dict(type='mmseg_unsup.MakeViews', num_views=1),
    dict(type='mmseg_unsup.PackViews')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmseg_unsup.ViewDataset',
        dataset=dict(type='mmseg_unsup.MaskedImageDataset', data_root=data_root, mask_root=mask_root),
        pipeline=[
            # the side of the smallest crop is 0.39 of the image: 580 px keep 224 px in it
            dict(type='mmseg_unsup.LoadImage', reduce_to=580),
            dict(type='mmseg_unsup.LoadMask', objects=objects),
            dict(
                type='mmseg_unsup.TwoMaskedViews',
                size=size,
                scale=(0.2, 1.0),
                ratio=(3 / 4, 4 / 3),
                flip_prob=0.5,
                area=(0.01, 0.99),
                max_retries=10),
            dict(
                type='mmseg_unsup.ForEachView',
                transforms=[
                    dict(
                        type='RandomApply',
                        prob=0.8,
                        transforms=[
                            dict(
                                type='mmseg_unsup.ColorJitter',
                                brightness=0.4,
                                contrast=0.4,
                                saturation=0.4,
                                hue=0.1,
                                prob=1.0)
                        ]),
                    dict(type='mmseg_unsup.RandomGrayscale', prob=0.2)
                ]),
            dict(type='mmseg_unsup.PackMaskedViews')
        ],
        on_error='raise'))
probe_dataloader = dict(
    batch_size=16,
    num_workers=4,
    pin_memory=True,
    collate_fn=dict(type='mmseg_unsup.stack_views'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmseg_unsup.ViewDataset',
        dataset=dict(type='mmseg_unsup.UnlabelledFolder', data_root=data_root),
        pipeline=probe_pipeline,
        on_error='raise'))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmseg_unsup.UnlabelledFolder', data_root=data_root, pipeline=unlabelled_pipeline))
test_dataloader = val_dataloader
