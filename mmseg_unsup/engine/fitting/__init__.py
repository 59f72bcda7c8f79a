from .batch import FeatureBatch
from .fit import Fit, feature_batches, fit_on_pass
from .fits import CellSample, ObjectFit, PCAFit, ProbeFit, PrototypeFit

__all__ = [
    'CellSample', 'FeatureBatch', 'Fit', 'ObjectFit', 'PCAFit', 'ProbeFit', 'PrototypeFit', 'feature_batches',
    'fit_on_pass'
]
