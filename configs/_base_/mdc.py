# MDC beside its data; needs the one-view pipeline of the data set (train_dataloader.dataset.pipeline)
_base_ = ['./models/mdc_r18_fpn.py', './clustering.py']
val_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='view1', prefix='view1', show_table=False)
]
test_evaluator = val_evaluator
