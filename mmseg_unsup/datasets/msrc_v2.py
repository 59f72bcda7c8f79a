"""MSRC v2: 591 object-centric photographs with 21 classes."""
from ..registry import DATASETS
from .labelled_dataset import LabelledDataset


@DATASETS.register_module()
class MSRCv2Dataset(LabelledDataset):
    """Label PNGs hold 0..20 in the order of ``classes`` and 255 for void (horse and mountain among it)."""

    METAINFO = dict(
        classes=('building', 'grass', 'tree', 'cow', 'sheep', 'sky', 'aeroplane', 'water', 'face', 'car', 'bicycle',
                 'flower', 'sign', 'bird', 'book', 'chair', 'road', 'cat', 'dog', 'body', 'boat'),
        palette=[[128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [0, 128, 128], [128, 128, 128], [192, 0, 0],
                 [64, 128, 0], [192, 128, 0], [64, 0, 128], [192, 0, 128], [64, 128, 128], [192, 128, 128],
                 [0, 64, 0], [128, 64, 0], [0, 192, 0], [128, 64, 128], [0, 192, 128], [128, 192, 128], [64, 64, 0],
                 [192, 64, 0]])
