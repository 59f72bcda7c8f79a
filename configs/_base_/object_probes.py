# what is measured on a frozen MaskContrast model; goes with its config, and a config of configs/probe says which of it
object_kmeans = dict(type='mmseg_unsup.ObjectKMeansMetric', repeats=5, seed=1234)
linear_probe = dict(type='mmseg_unsup.LinearProbe', name='linear', features='trunk', stages=4)
# beside the end of the schedule, the stage that is best on the labels it is scored on, named so
linear_evaluator = dict(
    type='mmseg_unsup.RepeatedIoUMetric',
    prediction='linear',
    repeats=4,
    summary='last',
    match='identity',
    prefix='linear')
retrieval_probe = dict(
    type='mmseg_unsup.SegmentRetrievalProbe',
    name='retrieval',
    features='embedding',
    k=1,
    max_segments=1,
    background=0)
retrieval_evaluator = dict(
    type='mmseg_unsup.ClusterIoUMetric',
    prediction='retrieval',
    match='identity',
    prefix='retrieval',
    show_table=False)
