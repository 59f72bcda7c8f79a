from .camvid import CamVidDataset
from .cityscapes27 import Cityscapes27Dataset
from .coco_stuff27 import COCOStuff27Dataset
from .labelled_dataset import LabelledDataset
from .masked_images import MaskedImageDataset
from .msrc_v2 import MSRCv2Dataset
from .potsdam3 import Potsdam3Dataset
from .procedural_scenes import ProceduralScenes
from .unlabelled_folder import UnlabelledFolder
from .view_dataset import ViewDataset
from .voc2012 import VOC2012Dataset

__all__ = [
    'COCOStuff27Dataset', 'CamVidDataset', 'Cityscapes27Dataset', 'LabelledDataset', 'MSRCv2Dataset',
    'MaskedImageDataset', 'Potsdam3Dataset', 'ProceduralScenes', 'UnlabelledFolder', 'VOC2012Dataset', 'ViewDataset'
]
