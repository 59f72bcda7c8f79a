from .benchmarks import CamVidDataset, Cityscapes27Dataset, MSRCv2Dataset, Potsdam3Dataset, VOC2012Dataset
from .coco_stuff27 import COCOStuff27Dataset
from .five_crops import CropPart, FiveCrops
from .labelled_dataset import LabelledDataset
from .labelled_folder import LabelledFolder
from .masked_images import MaskedImageDataset
from .partner_dataset import PartnerDataset
from .procedural_scenes import ProceduralScenes
from .unlabelled_folder import UnlabelledFolder
from .view_dataset import ViewDataset

__all__ = [
    'COCOStuff27Dataset', 'CamVidDataset', 'Cityscapes27Dataset', 'CropPart', 'FiveCrops', 'LabelledDataset',
    'LabelledFolder', 'MSRCv2Dataset', 'MaskedImageDataset', 'PartnerDataset', 'Potsdam3Dataset', 'ProceduralScenes',
    'UnlabelledFolder', 'VOC2012Dataset', 'ViewDataset'
]
