# a linear probe that is trained along with a method of configs/_base_/stego.py and the like, on labels that the method
# does not see; goes with a config of it, which says what `labelled_probe_dataloader` is
_base_ = []
from mmseg_unsup.presets import scores_of
default_hooks = dict(linear_probe=dict(type='mmseg_unsup.LinearProbeHook'))
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    scores_of('fresh'),
    scores_of('linear', match='identity')
]
