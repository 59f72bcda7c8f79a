# MDC beside its data; needs the one-view pipeline of the data set (train_dataloader.dataset.pipeline)
_base_ = ['./models/mdc_r18_fpn.py', './view_training.py']
default_hooks = dict(
    clustering=dict(
        type='mmseg_unsup.PixelClusteringHook',
        kmeans=dict(n_iter=20, spherical=True),
        class_weights='inverse',
        bn_mode='eval'))
val_evaluator = [
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='fresh'),
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='view1', prefix='view1', show_table=False)
]
test_evaluator = val_evaluator
