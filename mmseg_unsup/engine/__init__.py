from .hooks import (AtomicCheckpointHook, CheckDataHook, ClusterPicturesHook, CompileHook, ConsoleHook, FreshKMeansHook,
                    InitialEvaluationHook, InitializationHook, LongerScheduleHook, NonFiniteHook,
                    ObjectClusteringHook, PCAInitHook, PhaseTimerHook, PixelClusteringHook, PreemptionHook, ProbeHook,
                    ReportHook, RunFolderHook, TrainProgressHook, UnreadableImagesHook, ViewEpochHook)
from .loops import ResumableTrainLoop
from .optimizers import BFloat16OptimWrapper
from .schedulers import FullPolyLR

__all__ = [
    'AtomicCheckpointHook', 'BFloat16OptimWrapper', 'CheckDataHook', 'ClusterPicturesHook', 'CompileHook',
    'ConsoleHook', 'FreshKMeansHook', 'FullPolyLR', 'InitialEvaluationHook', 'InitializationHook',
    'LongerScheduleHook', 'NonFiniteHook', 'ObjectClusteringHook', 'PCAInitHook', 'PhaseTimerHook',
    'PixelClusteringHook', 'PreemptionHook', 'ProbeHook', 'ReportHook', 'ResumableTrainLoop', 'RunFolderHook',
    'TrainProgressHook', 'UnreadableImagesHook', 'ViewEpochHook'
]
