from .formatting import PackViews
from .geometric import CenterSquareCrop, PairedCropFlip, ResizeForEvaluation
from .loading import LoadImage, LoadLabels
from .masks import LoadMask, PackMaskedViews, TwoMaskedViews
from .photometric import ColorJitter, GaussianBlur, RandomGrayscale
from .views import ForEachView, MakeViews

__all__ = [
    'CenterSquareCrop', 'ColorJitter', 'ForEachView', 'GaussianBlur', 'LoadImage', 'LoadLabels', 'LoadMask',
    'MakeViews', 'PackMaskedViews', 'PackViews', 'PairedCropFlip', 'RandomGrayscale', 'ResizeForEvaluation',
    'TwoMaskedViews'
]
