# what every method has beside its model: schedule of the PiCIE paper, laterals that start as principal components, the
# score by a fresh k-means, and which command-line variables reach where. Goes with one of datasets/ and one of models/.
_base_ = ['./schedules/adam_10e.py', './default_runtime.py']
# folder for what a frozen backbone makes of the training images, which later passes and runs read; None: not stored
feature_cache = None
default_hooks = dict(
    feature_cache=dict(type='mmseg_unsup.FeatureCacheHook', folder=feature_cache),
    pca_init=dict(type='mmseg_unsup.PCAInitHook'),
    # many starts, each on the whole sample: the score should depend on the features, not on where k-means starts
    fresh_kmeans=dict(type='mmseg_unsup.FreshKMeansHook', kmeans=dict(n_iter=20, n_init=10, coarse=1)))
shortcuts = dict(
    data_root=['*_dataloader.**.data_root'],
    size=['train_dataloader.**.PairedCropFlip.size', '*_dataloader.**.ResizeForEvaluation.size'],
    n_clusters=['model.decode_head.n_clusters'],
    init=['model.backbone.**.init_cfg.checkpoint'],
    weights_seen=['default_hooks.initialization.weights_seen'],
    feature_cache=['default_hooks.feature_cache.folder'])
