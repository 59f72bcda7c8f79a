# PiCIE: model, schedule of the paper, what a run does beside the training step, and which command-line variables reach
# where. Goes with one of datasets/.
_base_ = ['./models/picie_r18_fpn.py', './schedules/adam_10e.py', './default_runtime.py']
default_hooks = dict(
    pca_init=dict(type='mmseg_unsup.PCAInitHook'),
    clustering=dict(
        type='mmseg_unsup.PixelClusteringHook',
        kmeans=dict(n_iter=20, spherical=True),
        class_weights='inverse',
        bn_mode='eval'),
    # many restarts: the score should depend on the features, not on where k-means starts
    fresh_kmeans=dict(type='mmseg_unsup.FreshKMeansHook', n_clusters=27, kmeans=dict(n_iter=20, n_init=10)))
# fresh k-means is the published score; the training prototypes of each view are reported beside it
val_evaluator = [
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='fresh'),
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='view1', prefix='view1', show_table=False),
    dict(type='mmseg_unsup.HungarianIoUMetric', prototype_set='view2', prefix='view2', show_table=False)
]
test_evaluator = val_evaluator
shortcuts = dict(
    data_root=[
        'train_dataloader.dataset.dataset.data_root', 'probe_dataloader.dataset.dataset.data_root',
        'val_dataloader.dataset.data_root', 'test_dataloader.dataset.data_root'
    ],
    n_clusters=['model.decode_head.n_clusters', 'default_hooks.fresh_kmeans.n_clusters'],
    init=['model.backbone.init_cfg.checkpoint'])
