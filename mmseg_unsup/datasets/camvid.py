"""CamVid, the 11-class split of SegNet (480 x 360; 367 training and 101 validation images)."""
from ..registry import DATASETS
from .labelled_dataset import LabelledDataset


@DATASETS.register_module()
class CamVidDataset(LabelledDataset):
    """Label PNGs hold 0..10 in the order of ``classes`` and 255 for void."""

    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'sidewalk', 'tree', 'sign', 'fence', 'car', 'pedestrian',
                 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [0, 0, 192], [128, 128, 0],
                 [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]])
