"""The labelled data sets of the field whose classes are a short table."""
from typing import List

import numpy as np
from mmseg.datasets import PascalVOCDataset

from ..registry import DATASETS
from .labelled_dataset import LabelledDataset, table_from_values

# label ids 0..6 of Cityscapes: unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground
_N_VOID = 7


@DATASETS.register_module()
class CamVidDataset(LabelledDataset):
    """CamVid, the 11-class split of SegNet (480 x 360; 367 training and 101 validation images).

    Label PNGs hold 0..10 in the order of ``classes`` and 255 for void. Images are JPEGs, or all of them PNGs, as they
    were published.
    """

    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'sidewalk', 'tree', 'sign', 'fence', 'car', 'pedestrian',
                 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [0, 0, 192], [128, 128, 0],
                 [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]])

    def _names_below(self, folder: str) -> List[str]:
        names = super()._names_below(folder)
        if names or self.img_suffix != '.jpg':
            return names
        self.img_suffix = '.png'
        return super()._names_below(folder)


@DATASETS.register_module()
class Cityscapes27Dataset(LabelledDataset):
    """Cityscapes with the 27 classes of PiCIE and STEGO.

    Label ids 7 (road) to 33 (bicycle) are the classes 0..26 in order; 0..6 and 255 (licence plate, id -1) are ignored.

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


@DATASETS.register_module()
class MSRCv2Dataset(LabelledDataset):
    """MSRC v2: 591 object-centric photographs with 21 classes.

    Label PNGs hold 0..20 in the order of ``classes`` and 255 for void (horse and mountain among it).
    """

    METAINFO = dict(
        classes=('building', 'grass', 'tree', 'cow', 'sheep', 'sky', 'aeroplane', 'water', 'face', 'car', 'bicycle',
                 'flower', 'sign', 'bird', 'book', 'chair', 'road', 'cat', 'dog', 'body', 'boat'),
        palette=[[128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [0, 128, 128], [128, 128, 128], [192, 0, 0],
                 [64, 128, 0], [192, 128, 0], [64, 0, 128], [192, 0, 128], [64, 128, 128], [192, 128, 128],
                 [0, 64, 0], [128, 64, 0], [0, 192, 0], [128, 64, 128], [0, 192, 128], [128, 192, 128], [64, 64, 0],
                 [192, 64, 0]])


@DATASETS.register_module()
class Potsdam3Dataset(LabelledDataset):
    """ISPRS Potsdam with the three classes of IIC and STEGO: the six classes merged in pairs.

    Expects what mmseg's ``tools/dataset_converters/potsdam.py`` writes: ``{img_dir,ann_dir}/{train,val}/*.png``, tiles
    of 512 px at the full resolution of 5 cm, with the label values 0 boundary, 1 impervious surface, 2 building,
    3 low vegetation, 4 tree, 5 car, 6 clutter. The boundary is ignored.

    IIC and STEGO cut tiles of 200 px at half the resolution and hold out a random tenth of them for scoring; here
    ``val`` is the official test part (14 of 38 scenes), so scores are comparable among themselves only.

    Source: ``_fine_to_coarse_dict`` in code/datasets/segmentation/potsdam.py of IIC's released code (STEGO: the same
    in src/data.py), whose fine ids 0..5 are the label values here less one.
    """

    METAINFO = dict(
        classes=('roads and cars', 'buildings and clutter', 'vegetation and trees'),
        palette=[[255, 255, 255], [0, 0, 255], [0, 255, 0]])

    def __init__(self, img_suffix: str = '.png', **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, **kwargs)

    def label_table(self) -> np.ndarray:
        return table_from_values([self.ignore_index, 0, 1, 2, 2, 0, 1], self.ignore_index)


@DATASETS.register_module()
class VOC2012Dataset(LabelledDataset):
    """The segmentation part of Pascal VOC 2012.

    Label PNGs hold 0 (background) to 20 in the order of ``classes`` and 255 for void.

    Expects the layout of mmseg: below ``VOCdevkit/VOC2012``, ``JPEGImages``, ``SegmentationClass`` (PNGs with a
    palette), ``SegmentationClassAug`` (grey PNGs) and ``ImageSets/Segmentation/{train,val,trainaug}.txt``, the last
    one written with ``SegmentationClassAug`` by mmseg's ``tools/dataset_converters/voc_aug.py``. ``ann_file`` names
    the list; without one, every image is used (17125, most of them without labels).
    The group ``objects`` is all classes but the background.
    """

    METAINFO = dict(PascalVOCDataset.METAINFO, groups=dict(objects=list(range(1, 21))))
