# MDC beside its data; needs one view of each image, by view_pipeline(SIZE, num_views=1) of mmseg_unsup.presets
_base_ = ['./models/mdc_r18_fpn.py', './clustering.py']
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='view1', prefix='view1', show_table=False)
]
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
