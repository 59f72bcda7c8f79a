# the evaluation protocols of the field, on a frozen model; goes with a config of a method and its data set, which says
# what `default_hooks`, `test_evaluator`, `shortcuts` and the labelled training images are (configs/probe)
_base_ = []
from mmseg_unsup.presets import scores_of, scores_of_stages
probe_hook = dict(
    type='mmseg_unsup.ProbeHook',
    probes=[
        dict(type='mmseg_unsup.KMeansProbe', name='kmeans', repeats=5, kmeans=dict(n_iter=20, n_init=10, coarse=1)),
        dict(type='mmseg_unsup.KMeansProbe', name='over100', n_clusters=100),
        dict(type='mmseg_unsup.KMeansProbe', name='over500', n_clusters=500),
        dict(
            type='mmseg_unsup.LinearProbe',
            name='linear',
            max_cells=200_000,
            epochs=20,
            lr=1e-2,
            batch_size=1024,
            stages=4),
        dict(type='mmseg_unsup.DenseKNNProbe', name='knn', k=30, max_cells=20_000, temperature=0.02),
        dict(type='mmseg_unsup.SegmentRetrievalProbe', name='retrieval', k=1, max_segments=32)
    ])
probe_evaluators = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.RepeatedIoUMetric', prediction='kmeans', repeats=5, prefix='kmeans'),
    scores_of('over100', match='majority'),
    scores_of('over500', match='majority'),
    scores_of_stages('linear', stages=4),
    scores_of('knn', match='identity'),
    scores_of('retrieval', match='identity')
]
protocol = 'center_crop'
probe_shortcuts = dict(protocol=[
    'labelled_probe_dataloader.**.ResizeForEvaluation.protocol', 'val_dataloader.**.ResizeForEvaluation.protocol',
    'test_dataloader.**.ResizeForEvaluation.protocol'
])
