# what methods that train on the labels of a clustering have beside their model
_base_ = './view_training.py'
default_hooks = dict(
    clustering=dict(
        type='mmseg_unsup.PixelClusteringHook',
        kmeans=dict(n_iter=20, spherical=True),
        class_weights='inverse',
        bn_mode='eval'))
