"""Cityscapes with the 27 classes of PiCIE and STEGO: every label id from 7 (road) to 33 (bicycle)."""
import numpy as np

from ..registry import DATASETS
from .labelled_dataset import LabelledDataset, table_from_values

_N_VOID = 7  # label ids 0..6: unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground


@DATASETS.register_module()
class Cityscapes27Dataset(LabelledDataset):
    """Label ids 7..33 are the classes 0..26 in order; 0..6 and 255 (licence plate, id -1) are ignored.

    Expects the official layout: ``leftImg8bit/{train,val,test,train_extra}/CITY/*_leftImg8bit.png`` and
    ``gtFine/{train,val}/CITY/*_gtFine_labelIds.png``. ``splits`` names one or several of them, for example
    ``splits=['test', 'train_extra']``; ``gtFine`` has labels for ``train`` and ``val`` only.

    Source: data/cityscapes_eval_dataset.py:15-17 of PiCIE's released code; colours and ``hasInstances`` (things) from
    cityscapesscripts/helpers/labels.py.
    """

    METAINFO = dict(
        classes=('road', 'sidewalk', 'parking', 'rail track', 'building', 'wall', 'fence', 'guard rail', 'bridge',
                 'tunnel', 'pole', 'polegroup', 'traffic light', 'traffic sign', 'vegetation', 'terrain', 'sky',
                 'person', 'rider', 'car', 'truck', 'bus', 'caravan', 'trailer', 'train', 'motorcycle', 'bicycle'),
        palette=[[128, 64, 128], [244, 35, 232], [250, 170, 160], [230, 150, 140], [70, 70, 70], [102, 102, 156],
                 [190, 153, 153], [180, 165, 180], [150, 100, 100], [150, 120, 90], [153, 153, 153], [153, 153, 153],
                 [250, 170, 30], [220, 220, 0], [107, 142, 35], [152, 251, 152], [70, 130, 180], [220, 20, 60],
                 [255, 0, 0], [0, 0, 142], [0, 0, 70], [0, 60, 100], [0, 0, 90], [0, 0, 110], [0, 80, 100],
                 [0, 0, 230], [119, 11, 32]],
        groups=dict(things=list(range(17, 27)), stuff=list(range(17))))

    def __init__(self, img_suffix: str = '_leftImg8bit.png', seg_map_suffix: str = '_gtFine_labelIds.png',
                 **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def label_table(self) -> np.ndarray:
        return table_from_values([self.ignore_index] * _N_VOID + list(range(27)), self.ignore_index)
