"""Base of the data sets of this package: files below a root that no path leaves unnoticed."""
import os.path as osp

from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset

from ..utils.paths import is_outside


class FolderDataset(BaseSegDataset):
    """:class:`mmseg.datasets.BaseSegDataset` whose paths stay below ``data_root``.

    That holds for ``data_prefix``, suffixes and the lines of list files. Links below ``data_root`` are followed
    wherever they lead. The list file itself may lie anywhere; the log says so when it lies outside.

    Args:
        allow_outside: paths may be absolute or have ``..``.

    Raises:
        ValueError: a path leads out of ``data_root``.
    """

    def __init__(self, *args, allow_outside: bool = False, **kwargs) -> None:
        self.allow_outside = allow_outside
        super().__init__(*args, **kwargs)

    def _join_prefix(self) -> None:
        settings = {f'data_prefix.{key}': path for key, path in self.data_prefix.items() if isinstance(path, str)}
        settings.update(img_suffix=self.img_suffix.lstrip('/'), seg_map_suffix=self.seg_map_suffix.lstrip('/'))
        for name, path in settings.items():
            self._check_inside(name, path, self.data_root)
        if self.ann_file and is_outside(self.ann_file, self.data_root):
            print_log(f'the list {osp.abspath(osp.join(self.data_root, self.ann_file))} lies outside of the data root '
                      f'{self.data_root}', logger='current')
        super()._join_prefix()

    def _check_inside(self, setting: str, path: str, root: str) -> None:
        if not self.allow_outside and is_outside(path, root):
            raise ValueError(f'{setting}={path!r} leads out of {root!r}: give a path below it, or set '
                             'allow_outside=True on the data set')
