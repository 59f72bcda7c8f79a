"""A folder of images as a complete data set."""
import os.path as osp
from typing import List

from ..registry import DATASETS
from .errors import ErrorPolicy
from .folder_dataset import FolderDataset
from .image_files import find_images
from .path_list import Records


@DATASETS.register_module()
class UnlabelledFolder(FolderDataset):
    """Every image below a folder, recursively. No labels, no list file, no class names.

    Args:
        data_root: the folder.
        data_prefix: ``img_path`` may name a folder below it.
        on_error: of an image that cannot be read when the data set is used without
            :class:`mmseg_unsup.ViewDataset`, for predictions: ``'raise'`` stops the run; ``'skip'`` gives the next
            readable image instead, whose data sample is marked as ``replaced``, and records the path for
            :meth:`unreadable`.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it has no image; a path leads out of it; unknown ``on_error``; in ``'skip'`` mode, no image can be
            read at all.
        UnreadableImageError: in ``'raise'`` mode.
    """

    METAINFO = dict(classes=(), palette=[])

    def __init__(self,
                 data_root: str,
                 data_prefix: dict = dict(img_path=''),
                 on_error: str = 'raise',
                 **kwargs) -> None:
        self.on_error = on_error
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix['img_path']), **kwargs)

    def full_init(self) -> None:
        if not self._fully_initialized:
            self.serialize_data = False  # what load_data_list gives is smaller, and data workers share it as it is
            super().full_init()
            self._policy = ErrorPolicy(self.on_error, len(self))

    def load_data_list(self) -> Records:
        return Records(_record, find_images(osp.normpath(self.data_prefix['img_path'])))

    def unreadable(self) -> List[str]:
        """Paths of the images that could not be read so far, by any worker of this rank."""
        return [self.get_data_info(idx)['img_path'] for idx in self._policy.unreadable()]

    def prepare_data(self, idx: int) -> dict:
        """The sample of an image, or of the next one that can be read."""
        return self._policy.load(idx, self._sample)

    def _sample(self, idx: int, replaced: bool) -> dict:
        results = self.pipeline(self.get_data_info(idx))
        if replaced:
            results['data_samples'].set_metainfo(dict(replaced=True))
        return results


def _record(path: str) -> dict:
    return dict(img_path=path, seg_fields=[])
