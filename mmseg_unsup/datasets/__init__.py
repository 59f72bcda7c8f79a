from .benchmarks import CamVidDataset, Cityscapes27Dataset, MSRCv2Dataset, Potsdam3Dataset, VOC2012Dataset
from .coco_stuff27 import COCOStuff27Dataset
from .labelled_dataset import LabelledDataset
from .labelled_folder import LabelledFolder
from .masked_images import MaskedImageDataset
from .procedural_scenes import ProceduralScenes
from .unlabelled_folder import UnlabelledFolder
from .view_dataset import ViewDataset

__all__ = [
    'COCOStuff27Dataset', 'CamVidDataset', 'Cityscapes27Dataset', 'LabelledDataset', 'LabelledFolder',
    'MSRCv2Dataset', 'MaskedImageDataset', 'Potsdam3Dataset', 'ProceduralScenes', 'UnlabelledFolder',
    'VOC2012Dataset', 'ViewDataset'
]
