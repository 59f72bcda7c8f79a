"""Base of the labelled data sets: images with one label PNG each, and one look-up table from PNG value to class."""
import copy
import os.path as osp
from functools import cached_property
from typing import List, Sequence, Union

import numpy as np

from ..registry import DATASETS
from .folder_dataset import FolderDataset
from .image_files import check_folder, read_list, walk_files

# What the look-up table holds for PNG values that the data set does not define.
INVALID_LABEL = 254


@DATASETS.register_module()
class LabelledDataset(FolderDataset):
    """Images and label PNGs in two parallel folders.

    It checks its folders before the run, and gives every sample ``label_table``, which
    :class:`mmseg_unsup.LoadLabels` applies in one look-up (the stock ``label_map`` makes a pass over the image per
    class).

    Subclasses set ``METAINFO`` and, where PNG values are no class indices, override :meth:`label_table`. Used
    directly, classes come from ``metainfo=dict(classes=[...])``.

    ``METAINFO['groups']``, where given, maps a group name to class indices (COCO-Stuff's things and stuff); metrics
    report each.

    Args:
        splits: sub-folders of every path of ``data_prefix`` which are used together, in this order; one name may stand
            for itself. None uses the paths as they are.
        drop_classes: names of classes whose pixels are ignored, and which leave the groups.
        allow_outside: see :class:`FolderDataset`, whose other arguments it takes too.

    Raises:
        FileNotFoundError: a folder or ``ann_file`` is missing.
        ValueError: a folder or ``ann_file`` has no image; a path leads out of ``data_root``, or a line of ``ann_file``
            out of the image folder; ``splits`` is empty, or given with ``ann_file``; ``drop_classes`` has a name that
            is no class.
    """

    list_remedy = ''  # how a missing ann_file is made, the first part of what to do

    def __init__(self,
                 *args,
                 splits: Union[str, Sequence[str], None] = None,
                 drop_classes: Sequence[str] = (),
                 **kwargs) -> None:
        self.splits = [splits] if isinstance(splits, str) else splits
        super().__init__(*args, **kwargs)
        self.drop_classes = [self._class_index(name) for name in drop_classes]
        if drop_classes and 'groups' in self.metainfo:
            groups = self.metainfo['groups'].items()
            self._metainfo['groups'] = {group: sorted({*members} - {*self.drop_classes}) for group, members in groups}

    def _class_index(self, name: str) -> int:
        classes = list(self.metainfo['classes'])
        if name not in classes:
            raise ValueError(f'drop_classes names {name!r}, which is none of the classes {classes}')
        return classes.index(name)

    def label_table(self) -> np.ndarray:
        """(256,) uint8: PNG value -> class index, ``ignore_index``, or ``INVALID_LABEL``."""
        return table_from_values(range(len(self.metainfo['classes'])), self.ignore_index)

    @cached_property
    def used_label_table(self) -> np.ndarray:
        """The table of :meth:`label_table` with ``drop_classes`` ignored, made once."""
        table = self.label_table()
        table[np.isin(table, self.drop_classes)] = self.ignore_index
        return table

    def load_data_list(self) -> List[dict]:
        if self.splits is None:
            return self._load_folder()
        if not self.splits or self.ann_file:
            raise ValueError(f'splits={self.splits} with ann_file={self.ann_file!r}: name at least one folder in '
                             'splits and leave ann_file empty, or leave out splits')
        data_list = []
        for split in self.splits:
            self._check_inside('splits', split, self.data_prefix['img_path'])
            part = copy.copy(self)
            part.data_prefix = {key: osp.join(path, split) for key, path in self.data_prefix.items()}
            data_list += part._load_folder()
        return data_list

    def _load_folder(self) -> List[dict]:
        img_dir = self.data_prefix['img_path']
        check_folder(img_dir, 'set data_root (--cfg-options data_root=PATH), data_prefix.img_path or splits')
        if self.data_prefix.get('seg_map_path'):
            check_folder(self.data_prefix['seg_map_path'], 'evaluation needs labels; set data_prefix.seg_map_path')
        if self.ann_file and not osp.isfile(self.ann_file):
            raise FileNotFoundError(f'the list {self.ann_file!r} does not exist: {self.list_remedy}set ann_file, or '
                                    f'leave it empty to use every *{self.img_suffix} in {img_dir}')
        names = read_list(self.ann_file, self.allow_outside) if self.ann_file else self._names_below(img_dir)
        if not names:
            raise ValueError(f'no *{self.img_suffix} found: looked in {self.ann_file or img_dir}')
        return [self._record(name) for name in names]

    def _names_below(self, folder: str) -> List[str]:
        """Relative paths without suffix of all images, in the order of their paths."""
        paths = (path for path in walk_files(folder) if path.endswith(self.img_suffix))
        return [osp.relpath(path, folder)[:-len(self.img_suffix)] for path in paths
                if not osp.basename(path).startswith('.')]

    def _record(self, name: str) -> dict:
        record = dict(
            img_path=osp.join(self.data_prefix['img_path'], name + self.img_suffix),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[])
        if self.data_prefix.get('seg_map_path') is not None:
            record['seg_map_path'] = osp.join(self.data_prefix['seg_map_path'], name + self.seg_map_suffix)
        return record

    def get_data_info(self, idx: int) -> dict:
        # one table for all samples, not a copy in each serialized record
        return dict(super().get_data_info(idx), label_table=self.used_label_table)


def table_from_values(classes: Sequence[int], ignore_index: int) -> np.ndarray:
    """(256,) uint8 table with ``table[value] = classes[value]``."""
    table = np.full(256, INVALID_LABEL, dtype=np.uint8)
    table[:len(classes)] = classes
    table[ignore_index] = ignore_index
    return table
