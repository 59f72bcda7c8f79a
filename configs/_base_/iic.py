# IIC beside its data: no clustering pass
_base_ = ['./models/iic_r18_fpn.py', './view_training.py']
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='classifier', prefix='classifier', show_table=False)
]
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
