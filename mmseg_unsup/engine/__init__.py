from .hooks import (CompileHook, ContactSheetHook, FreshKMeansHook, InitialEvaluationHook, PCAInitHook, PhaseTimerHook,
                    PixelClusteringHook, TrainProgressHook, ViewEpochHook)
from .optimizers import BFloat16OptimWrapper

__all__ = [
    'BFloat16OptimWrapper', 'CompileHook', 'ContactSheetHook', 'FreshKMeansHook', 'InitialEvaluationHook',
    'PCAInitHook', 'PhaseTimerHook', 'PixelClusteringHook', 'TrainProgressHook', 'ViewEpochHook'
]
