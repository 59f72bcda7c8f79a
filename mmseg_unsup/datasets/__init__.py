from .camvid import CamVidDataset
from .coco_stuff27 import COCOStuff27Dataset
from .labelled_dataset import LabelledDataset
from .msrc_v2 import MSRCv2Dataset
from .procedural_scenes import ProceduralScenes
from .unlabelled_folder import UnlabelledFolder
from .view_dataset import ViewDataset

__all__ = [
    'COCOStuff27Dataset', 'CamVidDataset', 'LabelledDataset', 'MSRCv2Dataset', 'ProceduralScenes', 'UnlabelledFolder',
    'ViewDataset'
]
