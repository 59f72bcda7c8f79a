from .hooks import (AtomicCheckpointHook, CompileHook, ClusterPicturesHook, FreshKMeansHook, InitialEvaluationHook,
                   InitializationHook, MomentumUpdateHook, NonFiniteHook, ObjectClusteringHook, PCAInitHook,
                   PhaseTimerHook, PixelClusteringHook, PreemptionHook, ProbeHook, ReportHook, TrainProgressHook,
                   UnreadableImagesHook, ViewEpochHook)
from .loops import ResumableTrainLoop
from .optimizers import BFloat16OptimWrapper

__all__ = [
    'AtomicCheckpointHook', 'BFloat16OptimWrapper', 'CompileHook', 'ClusterPicturesHook', 'FreshKMeansHook',
    'InitialEvaluationHook', 'InitializationHook', 'MomentumUpdateHook', 'NonFiniteHook', 'ObjectClusteringHook',
    'PCAInitHook', 'PhaseTimerHook', 'PixelClusteringHook', 'PreemptionHook', 'ProbeHook', 'ReportHook', 'ResumableTrainLoop',
    'TrainProgressHook', 'UnreadableImagesHook', 'ViewEpochHook'
]
