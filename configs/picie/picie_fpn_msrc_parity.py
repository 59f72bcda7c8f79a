# The released code on MSRC v2: half its image sizes and small batches, everything else as released
_base_ = ['../_base_/datasets/msrc_v2.py', '../_base_/picie_parity.py']
n_clusters = 21
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='mmseg_unsup.LoadImage'),
        dict(type='mmseg_unsup.CenterSquareCrop', size=320),
        dict(type='mmseg_unsup.MakeViews', num_views=2),
        dict(
            type='mmseg_unsup.ForEachView',  # [1] before the crop
            transforms=[
                dict(type='mmseg_unsup.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, prob=0.8),
                dict(type='mmseg_unsup.GaussianBlur', sigma=(-1.8, 0.1), prob=0.5)  # [2] [3]
            ]),
        dict(type='mmseg_unsup.PairedCropFlip', size=160, scale=(0.5, 1.0), flip_prob=0.5),
        dict(type='mmseg_unsup.PackViews')
    ]))
model = dict(decode_head=dict(n_clusters=n_clusters))
default_hooks = dict(
    clustering=dict(init_images=192, update_images=32),
    fresh_kmeans=dict(n_clusters=n_clusters, init_images=192, update_images=32),
    initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
train_cfg = dict(max_epochs=5)
