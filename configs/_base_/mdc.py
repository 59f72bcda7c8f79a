# MDC beside its data; needs one view of each image, by view_pipeline(SIZE, num_views=1) of mmseg_unsup.presets
_base_ = ['./models/mdc_r18_fpn.py', './clustering.py']
from mmseg_unsup.presets import scores_of
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='fresh'),
    scores_of('view1')
]
default_hooks = dict(initial_evaluation=dict(type='mmseg_unsup.InitialEvaluationHook'))
