# what clusters without training have beside model and data
_base_ = './runtime.py'
# labels that the weights have seen, such as 'none' or 'ImageNet', where their file does not say it
weights_seen = None
# folder for what a frozen backbone makes of the training images, which later passes and runs read; None: not stored
feature_cache = None
log_processor = dict(by_epoch=True)
default_hooks = dict(
    check_data=dict(type='mmseg_unsup.CheckDataHook'),
    initialization=dict(type='mmseg_unsup.InitializationHook', weights_seen=weights_seen),
    precision=dict(type='mmseg_unsup.PrecisionHook'),
    unreadable_images=dict(type='mmseg_unsup.UnreadableImagesHook'),
    phase_timer=dict(type='mmseg_unsup.PhaseTimerHook'),
    feature_cache=dict(type='mmseg_unsup.FeatureCacheHook', folder=feature_cache),
    pca_init=dict(type='mmseg_unsup.PCAInitHook'),
    fresh_kmeans=dict(type='mmseg_unsup.FreshKMeansHook', kmeans=dict(n_iter=20, n_init=10, coarse=1)))
val_cfg = dict()
test_cfg = dict()
val_evaluator = test_evaluator = [dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh')]
shortcuts = dict(
    data_root=['*_dataloader.**.data_root'],
    size=['*_dataloader.**.ResizeForEvaluation.size'],
    n_clusters=['model.decode_head.n_clusters'],
    init=['model.backbone.**.init_cfg.checkpoint'],
    weights_seen=['default_hooks.initialization.weights_seen'],
    feature_cache=['default_hooks.feature_cache.folder'])
