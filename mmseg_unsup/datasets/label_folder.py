"""Label maps beside images in any two folders, read as a data set of the config would."""
import os.path as osp
from typing import List, Optional, Sequence

import numpy as np

from ..registry import DATASETS
from .image_files import check_folder
from .labelled_dataset import LabelledDataset
from .transforms.loading import LoadLabels


class LabelFolder:
    """The label map of every image: same place below the label folder, with the suffixes of the data set.

    Args:
        dataset: config of a :class:`LabelledDataset`, for classes, colours, suffixes and values of its label maps. Its
            files are not looked at.
        images: paths of images.
        image_root, label_root: folders of images and label maps.
        classes: class names in the place of the data set's; the label maps then hold their numbers, 255 is ignored.

    Attributes:
        classes (list), palette ((C, 3) uint8), ignore_index (int).

    Raises:
        FileNotFoundError: there is no label folder, or an image has no label map.
        ValueError: the data set has no classes, and no names were given.
    """

    def __init__(self,
                 dataset: dict,
                 images: Sequence[str],
                 image_root: str,
                 label_root: str,
                 classes: Optional[Sequence[str]] = None) -> None:
        check_folder(label_root, 'give the folder of label maps')
        if classes:
            dataset = dict(type='mmseg_unsup.LabelledDataset', metainfo=dict(classes=list(classes)))
        elif 'type' not in dataset:
            raise ValueError('the config has no test data set that says how label maps are read: give the names of '
                             'their values (--classes)')
        self._dataset = DATASETS.build(dict(dataset, pipeline=[], lazy_init=True))
        if not isinstance(self._dataset, LabelledDataset) or not self._dataset.metainfo['classes']:
            raise ValueError(f'the test data set of the config, {dataset["type"]}, has no classes: give their names in '
                             'the order of the values in the label maps, or a config of a labelled data set')
        self.classes: List[str] = list(self._dataset.metainfo['classes'])
        self.palette = np.array(self._dataset.metainfo['palette'], np.uint8)
        self.ignore_index = self._dataset.ignore_index
        self._load = LoadLabels()
        self._table = self._dataset.used_label_table
        self._path_of = {path: self._label_path(osp.relpath(path, image_root), label_root) for path in images}
        missing = [path for path in images if not osp.isfile(self._path_of[path])]
        if missing:
            raise FileNotFoundError(f'{len(missing)} of {len(images)} images have no label map, such as {missing[0]}, '
                                    f'whose {self._path_of[missing[0]]} does not exist: check the label folder')

    def read(self, image: str, shape: Sequence[int]) -> np.ndarray:
        """(H, W) uint8 classes of an image, whose (H, W) is ``shape``; LabelError as of :class:`LoadLabels`."""
        info = dict(img_path=image, seg_map_path=self._path_of[image], label_table=self._table, ori_shape=shape)
        return self._load(info)['gt_seg_map']

    def _label_path(self, name: str, label_root: str) -> str:
        suffix = self._dataset.img_suffix
        stem = name[:-len(suffix)] if name.endswith(suffix) else osp.splitext(name)[0]
        return osp.join(label_root, stem + self._dataset.seg_map_suffix)
