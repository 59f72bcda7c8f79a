"""ISPRS Potsdam with the three classes of IIC and STEGO."""
import numpy as np

from ..registry import DATASETS
from .labelled_dataset import LabelledDataset, table_from_values


@DATASETS.register_module()
class Potsdam3Dataset(LabelledDataset):
    """The six classes of Potsdam merged in pairs.

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
