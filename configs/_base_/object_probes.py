# what is measured on a frozen MaskContrast model; goes with its config, and a config of configs/probe says which of it
_base_ = './labelled_probe.py'
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
labelled_probe_dataloader = dict(batch_size=16, num_workers=4)
object_probe_shortcuts = dict(
    data_root=[
        'train_dataloader.dataset.dataset.data_root', 'probe_dataloader.dataset.dataset.data_root',
        'labelled_probe_dataloader.dataset.dataset.data_root', 'val_dataloader.dataset.data_root',
        'test_dataloader.dataset.data_root'
    ],
    eval_size=[
        'probe_dataloader.dataset.pipeline.1.size', 'labelled_probe_dataloader.dataset.pipeline.2.size',
        'val_dataloader.dataset.pipeline.2.size', 'test_dataloader.dataset.pipeline.2.size'
    ])
