from .batch import FeatureBatch, backbone_map
from .fit import Fit, feature_batches, fit_on_pass

__all__ = ['FeatureBatch', 'Fit', 'backbone_map', 'feature_batches', 'fit_on_pass']
