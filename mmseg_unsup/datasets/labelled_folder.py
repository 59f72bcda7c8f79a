"""A folder of images, of which some have label maps in another folder."""
import os
import os.path as osp
from typing import List, Sequence

from ..registry import DATASETS
from ..utils.paths import printable
from .image_files import check_folder, find_images, read_list
from .labelled_dataset import LabelledDataset

MAP_SUFFIX = '.png'


def map_path(image: str, root: str, labels: str) -> str:
    """Path of the label map of an image: that of ``ROOT/a/b.jpg`` is ``LABELS/a/b.png``."""
    return osp.join(labels, image_stem(image, root) + MAP_SUFFIX)


def image_stem(image: str, root: str) -> str:
    """Name of an image below a folder, without suffix, as lists have it."""
    return osp.splitext(osp.relpath(image, root))[0]


@DATASETS.register_module()
class LabelledFolder(LabelledDataset):
    """Images of any suffix below a folder that have a label map in another; see :func:`map_path`.

    It is what ``mmseg-unsup segment --examples`` takes, as a data set for supervised training.

    Args:
        data_root: the folder of images.
        labels: that of label maps.
        metainfo: ``classes``, their names in the order of the values in the maps.
        ann_file: a list of names without suffix; empty for every image that has a label map.

    Raises:
        FileNotFoundError: a folder or the list does not exist.
        ValueError: no image has a label map, or one of the list has none; there are fewer than two classes, or two of
            a name.
    """

    def __init__(self, data_root: str, labels: str, metainfo: dict, **kwargs) -> None:
        self.labels = labels
        _check_classes(metainfo.get('classes'))
        super().__init__(data_root=data_root, data_prefix=dict(img_path=''), metainfo=metainfo, **kwargs)

    def load_data_list(self) -> List[dict]:
        root = osp.normpath(self.data_prefix['img_path'])
        check_folder(self.labels, 'give the folder of label maps (--cfg-options labels=LABELLED)')
        images = [path for path in find_images(root) if osp.isfile(map_path(path, root, self.labels))]
        if not images:
            first = map_path(find_images(root)[0], root, self.labels)
            raise ValueError(f'no image of {printable(root)} has a label map in {printable(self.labels)}: that of the '
                             f'first one would be {printable(first)}')
        return [self._record_of(path, root) for path in self._listed(images, root)]

    def _listed(self, images: Sequence[str], root: str) -> List[str]:
        """Those of the list, which must have maps."""
        if not self.ann_file:
            return list(images)
        if not osp.isfile(self.ann_file):
            raise FileNotFoundError(f'the list {self.ann_file!r} does not exist: set ann_file, or leave it empty to '
                                    f'use every image that has a label map in {printable(self.labels)}')
        names = read_list(self.ann_file)
        stems = [self.name_of(path) for path in images]
        lacking = sorted({*names} - {*stems})
        if lacking:
            raise ValueError(f'the list {self.ann_file!r} names {printable(lacking[0])}, but {printable(root)} has no '
                             f'such image with a label map in {printable(self.labels)}')
        return [path for path, stem in zip(images, stems) if stem in {*names}]

    def name_of(self, image: str) -> str:
        """What lists call an image."""
        return image_stem(image, osp.normpath(self.data_prefix['img_path'])).replace(os.sep, '/')

    def _record_of(self, image: str, root: str) -> dict:
        return dict(img_path=image, seg_map_path=map_path(image, root, self.labels), label_map=self.label_map,
                    reduce_zero_label=self.reduce_zero_label, seg_fields=[])


def _check_classes(classes) -> None:
    if not isinstance(classes, (list, tuple)) or len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f'classes={classes!r} are not two or more different names: name those of all values of the '
                         'label maps, in their order (--cfg-options classes=[sky,road])')
