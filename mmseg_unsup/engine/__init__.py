from .hooks import (CompileHook, ContactSheetHook, FreshKMeansHook, InitialEvaluationHook, MomentumUpdateHook,
                    PCAInitHook, PhaseTimerHook, PixelClusteringHook, StepSeedHook, TrainProgressHook, ViewEpochHook)
from .optimizers import BFloat16OptimWrapper

__all__ = [
    'BFloat16OptimWrapper', 'CompileHook', 'ContactSheetHook', 'FreshKMeansHook', 'InitialEvaluationHook',
    'MomentumUpdateHook', 'PCAInitHook', 'PhaseTimerHook', 'PixelClusteringHook', 'StepSeedHook', 'TrainProgressHook',
    'ViewEpochHook'
]
