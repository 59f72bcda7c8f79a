# the evaluation protocols of the field, on a frozen model; goes with a config of a method and its data set, which says
# what `default_hooks`, `test_evaluator`, `shortcuts` and the labelled training images are (configs/probe)
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
        dict(type='mmseg_unsup.DenseKNNProbe', name='knn', k=20, max_cells=20_000, temperature=0.07),
        dict(type='mmseg_unsup.SegmentRetrievalProbe', name='retrieval', k=1, max_segments=32)
    ])
probe_evaluators = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.RepeatedIoUMetric', prediction='kmeans', repeats=5, prefix='kmeans'),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='over100',
        match='majority',
        prefix='over100',
        show_table=False),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='over500',
        match='majority',
        prefix='over500',
        show_table=False),
    # beside the end of the schedule, the stage that is best on the labels it is scored on, named so
    dict(
        type='mmseg_unsup.RepeatedIoUMetric',
        prediction='linear',
        repeats=4,
        summary='last',
        match='identity',
        prefix='linear'),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='knn', match='identity', prefix='knn', show_table=False),
    dict(
        type='mmseg_unsup.ClusterIoUMetric',
        prediction='retrieval',
        match='identity',
        prefix='retrieval',
        show_table=False)
]
protocol = 'center_crop'
probe_shortcuts = dict(protocol=[
    'labelled_probe_dataloader.**.ResizeForEvaluation.protocol', 'val_dataloader.**.ResizeForEvaluation.protocol',
    'test_dataloader.**.ResizeForEvaluation.protocol'
])
