# IIC beside its data: no clustering pass
_base_ = ['./models/iic_r18_fpn.py', './view_training.py']
from mmseg_unsup.presets import scores_of
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    scores_of('classifier')
]
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
