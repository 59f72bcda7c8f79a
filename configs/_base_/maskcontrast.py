# MaskContrast beside its data and its backbone: schedule, the hooks that it needs, its scores, and which command-line
# variables reach where. Goes with one of datasets/*_masked.py and one of models/maskcontrast_*.py.
_base_ = ['./schedules/sgd_poly_40e.py', './default_runtime.py']
n_clusters = 20  # of objects; one more is what lies outside
default_hooks = dict(
    # clusters of the training images' objects, for prediction; the published score clusters those of the test images
    object_clustering=dict(type='mmseg_unsup.ObjectClusteringHook', n_clusters=n_clusters))
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ObjectKMeansMetric', repeats=5, seed=1234),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='objects',
        match_on='iou',
        prefix='train_objects',
        show_table=False)
]
shortcuts = dict(
    data_root=['*_dataloader.**.data_root'],
    mask_root=['train_dataloader.**.mask_root'],
    objects=['train_dataloader.**.LoadMask.objects', 'model.test_cfg.objects'],
    size=['train_dataloader.**.TwoMaskedViews.size'],
    eval_size=['*_dataloader.**.ResizeForEvaluation.size'],
    n_clusters=['default_hooks.object_clustering.n_clusters'],
    init=['model.backbone.init_cfg.checkpoint'],
    weights_seen=['default_hooks.initialization.weights_seen'])
