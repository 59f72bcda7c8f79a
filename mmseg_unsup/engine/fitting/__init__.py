from .batch import FeatureBatch
from .fit import Fit, feature_batches, fit_on_pass

__all__ = ['FeatureBatch', 'Fit', 'feature_batches', 'fit_on_pass']
