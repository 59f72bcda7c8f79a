# what is measured on a frozen MaskContrast model; goes with its config, and a config of configs/probe says which of it
_base_ = []
from mmseg_unsup.presets import scores_of, scores_of_stages
object_kmeans = dict(type='mmseg_unsup.ObjectKMeansMetric', repeats=5, seed=1234)
linear_probe = dict(type='mmseg_unsup.LinearProbe', name='linear', features='trunk', stages=4)
linear_evaluator = scores_of_stages('linear', stages=4)
retrieval_probe = dict(
    type='mmseg_unsup.SegmentRetrievalProbe',
    name='retrieval',
    features='embedding',
    k=1,
    max_segments=1,
    background=0)
retrieval_evaluator = scores_of('retrieval', match='identity')
