from . import hooks
from .hooks import *  # noqa: F403
from .loops import ResumableTrainLoop
from .optimizers import BFloat16OptimWrapper
from .schedulers import FullPolyLR

__all__ = [*hooks.__all__, 'BFloat16OptimWrapper', 'FullPolyLR', 'ResumableTrainLoop']
