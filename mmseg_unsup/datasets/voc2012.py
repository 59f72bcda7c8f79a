"""Pascal VOC 2012, segmentation."""
from mmseg.datasets import PascalVOCDataset

from ..registry import DATASETS
from .labelled_dataset import LabelledDataset


@DATASETS.register_module()
class VOC2012Dataset(LabelledDataset):
    """Label PNGs hold 0 (background) to 20 in the order of ``classes`` and 255 for void.

    Expects the layout of mmseg: below ``VOCdevkit/VOC2012``, ``JPEGImages``, ``SegmentationClass`` (PNGs with a
    palette), ``SegmentationClassAug`` (grey PNGs) and ``ImageSets/Segmentation/{train,val,trainaug}.txt``, the last
    one written with ``SegmentationClassAug`` by mmseg's ``tools/dataset_converters/voc_aug.py``. ``ann_file`` names
    the list; without one, every image is used (17125, most of them without labels).
    The group ``objects`` is all classes but the background.
    """

    METAINFO = dict(PascalVOCDataset.METAINFO, groups=dict(objects=list(range(1, 21))))
