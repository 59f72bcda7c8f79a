# images and object masks, two crops of each; a data set names its images and masks
_base_ = []
from mmseg_unsup.presets import eval_pipeline, loader, probe_pipeline, view_loader
data_root, mask_root = 'data/images', 'data/masks'
objects = 'image'  # one object an image; 'components': several
size = 224  # pixels of the side of a view
eval_size = 512  # evaluation sees every image as a square of this side and scores it at the size of its file
train_dataloader = view_loader(
    dict(type='mmseg_unsup.MaskedImageDataset', data_root=data_root, mask_root=mask_root),
    [
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
    batch_size=32,
    drop_last=True)
probe_dataloader = view_loader(
    dict(type='mmseg_unsup.UnlabelledFolder', data_root=data_root),
    probe_pipeline(eval_size, protocol='squash'),
    batch_size=16,
    persistent_workers=False)
val_dataloader = test_dataloader = loader(
    dict(
        type='mmseg_unsup.UnlabelledFolder',
        data_root=data_root,
        pipeline=eval_pipeline(eval_size, 'squash', labels=False)),
    batch_size=16,
    persistent_workers=False)
