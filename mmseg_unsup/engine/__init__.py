from ..utils.safe_loading import register_safe_loaders
from .hooks import (AtomicCheckpointHook, CompileHook, ClusterPicturesHook, FreshKMeansHook, InitialEvaluationHook,
                   InitializationHook, MomentumUpdateHook, NonFiniteHook, ObjectClusteringHook, PCAInitHook,
                   PhaseTimerHook, PixelClusteringHook, PreemptionHook, ProbeHook, ReportHook, TrainProgressHook,
                   UnreadableImagesHook, ViewEpochHook)
from .loops import ResumableTrainLoop
from .optimizers import BFloat16OptimWrapper

register_safe_loaders()

__all__ = [
    'AtomicCheckpointHook', 'BFloat16OptimWrapper', 'CompileHook', 'ClusterPicturesHook', 'FreshKMeansHook',
    'InitialEvaluationHook', 'InitializationHook', 'MomentumUpdateHook', 'NonFiniteHook', 'ObjectClusteringHook',
    'PCAInitHook', 'PhaseTimerHook', 'PixelClusteringHook', 'PreemptionHook', 'ProbeHook', 'ReportHook', 'ResumableTrainLoop',
    'TrainProgressHook', 'UnreadableImagesHook', 'ViewEpochHook'
]
