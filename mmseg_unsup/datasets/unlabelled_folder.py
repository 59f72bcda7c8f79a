"""A folder of images as a complete data set."""
import os.path as osp
from typing import List

from mmseg.datasets import BaseSegDataset

from ..registry import DATASETS
from .image_files import find_images


@DATASETS.register_module()
class UnlabelledFolder(BaseSegDataset):
    """Every image below a folder, recursively. No labels, no list file, no class names.

    Args:
        data_root: the folder.
        data_prefix: ``img_path`` may name a folder below it.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it has no image.
    """

    METAINFO = dict(classes=(), palette=[])

    def __init__(self, data_root: str, data_prefix: dict = dict(img_path=''), **kwargs) -> None:
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix['img_path']), **kwargs)

    def load_data_list(self) -> List[dict]:
        return [dict(img_path=path, seg_fields=[]) for path in find_images(osp.normpath(self.data_prefix['img_path']))]
