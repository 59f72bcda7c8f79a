# how images become views and how they are evaluated, at 320 px
photometric = [
    dict(type='mmseg_unsup.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, prob=0.8),
    dict(type='mmseg_unsup.RandomGrayscale', prob=0.2),
    # U(0.1, 2.0) px at 640 px in the paper
    dict(type='mmseg_unsup.GaussianBlur', sigma=(0.05, 1.0), prob=0.5)
]
view_pipeline = [
    # the smallest crop is half the frame: 640 px keep 320 px in it
    dict(type='mmseg_unsup.LoadImage', reduce_to=640),
    dict(type='mmseg_unsup.CenterSquareCrop'),
    dict(type='mmseg_unsup.MakeViews', num_views=2),
    dict(type='mmseg_unsup.PairedCropFlip', size=320, scale=(0.5, 1.0), flip_prob=0.5),
    dict(type='mmseg_unsup.ForEachView', transforms=photometric),
    dict(type='mmseg_unsup.PackViews')
]
# the first of the two views alone, for methods that train on one
one_view_pipeline = [
    dict(type='mmseg_unsup.LoadImage', reduce_to=640),
    dict(type='mmseg_unsup.CenterSquareCrop'),
    dict(type='mmseg_unsup.MakeViews', num_views=1),
    dict(type='mmseg_unsup.PairedCropFlip', size=320, scale=(0.5, 1.0), flip_prob=0.5),
    dict(type='mmseg_unsup.ForEachView', transforms=photometric),
    dict(type='mmseg_unsup.PackViews')
]
# as the released code: photometric change at 640 px before the crop [1], no grayscale [2], blur with a sign error [3]
released_view_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.CenterSquareCrop', size=640),
    dict(type='mmseg_unsup.MakeViews', num_views=2),
    dict(
        type='mmseg_unsup.ForEachView',
        transforms=[
            dict(type='mmseg_unsup.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, prob=0.8),
            dict(type='mmseg_unsup.GaussianBlur', sigma=(-1.8, 0.1), prob=0.5)
        ]),
    dict(type='mmseg_unsup.PairedCropFlip', size=320, scale=(0.5, 1.0), flip_prob=0.5),
    dict(type='mmseg_unsup.PackViews')
]
probe_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=320),
    dict(type='mmseg_unsup.MakeViews', num_views=1),
    dict(type='mmseg_unsup.PackViews')
]
eval_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.LoadLabels'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=320, protocol='center_crop'),
    dict(type='PackSegInputs')
]
# training images as evaluation sees them, with labels: for the probes of configs/probe
labelled_probe_pipeline = [
    dict(type='mmseg_unsup.LoadImage'),
    dict(type='mmseg_unsup.LoadLabels'),
    dict(type='mmseg_unsup.ResizeForEvaluation', size=320, protocol='center_crop'),
    dict(type='mmseg_unsup.MakeViews', num_views=1),
    dict(type='mmseg_unsup.PackViews')
]
