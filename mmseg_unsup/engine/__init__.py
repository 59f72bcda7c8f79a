from .hooks import (ContactSheetHook, FreshKMeansHook, InitialEvaluationHook, PCAInitHook, PhaseTimerHook,
                    PixelClusteringHook, TrainProgressHook, ViewEpochHook)

__all__ = [
    'ContactSheetHook', 'FreshKMeansHook', 'InitialEvaluationHook', 'PCAInitHook', 'PhaseTimerHook',
    'PixelClusteringHook', 'TrainProgressHook', 'ViewEpochHook'
]
