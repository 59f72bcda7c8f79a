from .formatting import PackViews
from .geometric import CenterSquareCrop, PairedCropFlip, ResizeForEvaluation
from .loading import LoadImage, LoadLabels
from .photometric import ColorJitter, GaussianBlur, RandomGrayscale
from .views import ForEachView, MakeViews

__all__ = [
    'CenterSquareCrop', 'ColorJitter', 'ForEachView', 'GaussianBlur', 'LoadImage', 'LoadLabels', 'MakeViews',
    'PackViews', 'PairedCropFlip', 'RandomGrayscale', 'ResizeForEvaluation'
]
