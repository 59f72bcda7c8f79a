# MaskContrast beside its data and its backbone: schedule, the hooks that it needs, its scores, and which command-line
# variables reach where. Goes with one of datasets/*_masked.py and one of models/maskcontrast_*.py.
_base_ = ['./schedules/sgd_poly_40e.py', './default_runtime.py']
n_clusters = 20  # of objects; one more is what lies outside
default_hooks = dict(
    # clusters of the training images' objects, for prediction; the published score clusters those of the test images
    object_clustering=dict(type='mmseg_unsup.ObjectClusteringHook', n_clusters=n_clusters))
val_evaluator = [
    dict(type='mmseg_unsup.ObjectKMeansMetric', repeats=5, seed=1234),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='objects',
        match_on='iou',
        prefix='train_objects',
        show_table=False)
]
test_evaluator = val_evaluator
shortcuts = dict(
    data_root=[
        'train_dataloader.dataset.dataset.data_root', 'probe_dataloader.dataset.dataset.data_root',
        'val_dataloader.dataset.data_root', 'test_dataloader.dataset.data_root'
    ],
    mask_root=['train_dataloader.dataset.dataset.mask_root'],
    objects=['train_dataloader.dataset.pipeline.1.objects', 'model.test_cfg.objects'],
    size=['train_dataloader.dataset.pipeline.2.size'],
    eval_size=[
        'probe_dataloader.dataset.pipeline.1.size', 'val_dataloader.dataset.pipeline.2.size',
        'test_dataloader.dataset.pipeline.2.size'
    ],
    n_clusters=['default_hooks.object_clustering.n_clusters'],
    init=['model.backbone.init_cfg.checkpoint'],
    weights_seen=['default_hooks.initialization.weights_seen'])
