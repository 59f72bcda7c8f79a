# PiCIE beside its data
_base_ = ['./models/picie_r18_fpn.py', './clustering.py']
from mmseg_unsup.presets import scores_of
# fresh k-means is the published score; the training prototypes of each view are reported beside it
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    scores_of('view1'),
    scores_of('view2')
]
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
