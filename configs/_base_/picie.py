# PiCIE beside its data
_base_ = ['./models/picie_r18_fpn.py', './clustering.py']
# fresh k-means is the published score; the training prototypes of each view are reported beside it
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='view1', prefix='view1', show_table=False),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='view2', prefix='view2', show_table=False)
]
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
