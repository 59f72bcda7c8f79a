# The released code, quirks included: each setting below is one of them. Numbers in brackets are those of the list in
# configs/picie/README.md.
_base_ = './picie_fpn_cocostuff.py'
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='mmseg_unsup.LoadImage'),
        dict(type='mmseg_unsup.CenterSquareCrop', size=640),
        dict(type='mmseg_unsup.MakeViews', num_views=2),
        dict(
            type='mmseg_unsup.ForEachView',  # [1] at 640 px, before the crop
            transforms=[
                # [2] no grayscale
                dict(type='mmseg_unsup.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, prob=0.8),
                dict(type='mmseg_unsup.GaussianBlur', sigma=(-1.8, 0.1), prob=0.5)  # [3]
            ]),
        dict(type='mmseg_unsup.PairedCropFlip', size=320, scale=(0.5, 1.0), flip_prob=0.5),
        dict(type='mmseg_unsup.PackViews')
    ]))
model = dict(
    neck=dict(init='random'),  # [7]
    decode_head=dict(distance='dot'),  # [4] evaluation by dot product with centres of any length
    temperature=1.0,  # [5]
    rounding='official')  # [6]
default_hooks = dict(
    clustering=dict(
        kmeans=dict(n_iter=20, spherical=False),  # [5]
        init_images=5120,
        update_images=256,
        init_pixels=None,
        class_weights='frequency',  # [8]
        bn_mode='train'),  # [9]
    fresh_kmeans=dict(
        kmeans=dict(n_iter=20, n_init=1), init_images=5120, update_images=256, init_pixels=None))
val_evaluator = [
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='fresh', group_definition='legacy_partition'),  # [10]
    dict(
        type='mmseg_unsup.HungarianIoUMetric',
        prototype_set='view1',
        prefix='view1',
        show_table=False,
        group_definition='legacy_partition'),
    dict(
        type='mmseg_unsup.HungarianIoUMetric',
        prototype_set='view2',
        prefix='view2',
        show_table=False,
        group_definition='legacy_partition')
]
test_evaluator = val_evaluator
