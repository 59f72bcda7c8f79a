"""COCO-Stuff 164k with the 27 coarse classes of IIC and PiCIE."""
import numpy as np

from ..registry import DATASETS
from .labelled_dataset import LabelledDataset, table_from_values

_THINGS = ('electronic', 'appliance', 'food', 'furniture', 'indoor', 'kitchen', 'accessory', 'animal', 'outdoor',
           'person', 'sports', 'vehicle')
_STUFF = ('ceiling', 'floor', 'food', 'furniture', 'rawmaterial', 'textile', 'wall', 'window', 'building', 'ground',
          'plant', 'sky', 'solid', 'structural', 'water')

# Fine thing ids 0..90 come in runs of one coarse class: (coarse class, length of the run).
_THING_RUNS = (('person', 1), ('vehicle', 8), ('outdoor', 6), ('animal', 10), ('accessory', 8), ('sports', 10),
               ('kitchen', 8), ('food', 10), ('furniture', 10), ('electronic', 6), ('appliance', 6), ('indoor', 8))

# Fine stuff ids 91..181, in order, a coarse class each (COCO-Stuff's names are alphabetical, so these do not run).
_STUFF_SEQUENCE = (
    'textile textile plant building building plant furniture structural rawmaterial floor ceiling ceiling textile '
    'textile sky furniture furniture textile furniture ground furniture structural floor floor floor floor floor '
    'plant water food food furniture plant ground ground solid building plant furniture textile rawmaterial furniture '
    'plant solid ground textile structural rawmaterial ground textile plant rawmaterial ground ground structural '
    'ground water ground solid building textile food ground water furniture sky building ground solid furniture solid '
    'plant structural furniture building textile textile plant food wall wall wall wall wall wall wall water water '
    'window window solid').split()


def fine_to_coarse() -> np.ndarray:
    """(182,) coarse class of each PNG value 0..181 (COCO-Stuff label id minus one).

    The mapping of IIC's and PiCIE's ``fine_to_coarse_dict.pickle``; things map to 0..11, stuff to 12..26.
    """
    things = [_THINGS.index(name) for name, length in _THING_RUNS for _ in range(length)]
    stuff = [len(_THINGS) + _STUFF.index(name) for name in _STUFF_SEQUENCE]
    return np.array(things + stuff, dtype=np.uint8)


@DATASETS.register_module()
class COCOStuff27Dataset(LabelledDataset):
    """COCO-Stuff labels reduced to 27 classes by one look-up table.

    Expects the official layout: ``images/{train,val}2017/*.jpg`` and ``annotations/{train,val}2017/*.png`` of
    ``stuffthingmaps_trainval2017.zip`` (values 0..181, 255 unlabelled). ``ann_file`` lists the curated ids, which
    ``mmseg-unsup coco-stuff27`` writes.

    ``food`` and ``furniture`` exist as a thing and as a stuff class; the classes carry their kind.
    """

    METAINFO = dict(
        classes=tuple(f'{name}-things' for name in _THINGS) + tuple(f'{name}-stuff' for name in _STUFF),
        palette=[[0, 192, 64], [0, 64, 96], [128, 192, 192], [0, 64, 64], [0, 192, 224], [0, 192, 192],
                 [128, 192, 64], [0, 192, 96], [128, 192, 96], [128, 32, 192], [0, 0, 224], [0, 0, 64],
                 [0, 160, 192], [128, 0, 96], [128, 0, 192], [0, 32, 192], [128, 128, 224], [0, 0, 192],
                 [128, 160, 192], [128, 128, 0], [128, 0, 32], [128, 32, 0], [128, 0, 128], [64, 128, 32],
                 [0, 160, 0], [0, 0, 0], [192, 128, 160]],
        groups=dict(things=list(range(12)), stuff=list(range(12, 27))))

    @property
    def list_remedy(self) -> str:
        return f'write the curated lists by `mmseg-unsup coco-stuff27 {self.data_root}`, '

    def label_table(self) -> np.ndarray:
        return table_from_values(fine_to_coarse(), self.ignore_index)
