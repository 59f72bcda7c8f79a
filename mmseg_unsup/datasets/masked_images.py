"""Images with one object mask each: what MaskContrast trains on."""
import os.path as osp
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import List, Tuple, Union

import numpy as np
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log

from ..registry import DATASETS
from ..utils.checks import check_share
from ..utils.console import say
from ..utils.read_ahead import read_ahead
from .errors import LabelError
from .folder_dataset import FolderDataset
from .image_files import check_folder, find_images, read_list
from .path_list import PathList, Records
from .transforms.masks import read_mask

MISSING = ('raise', 'skip')
_READERS = 8  # threads; decoding releases the interpreter
_SUBMITTED = 4096  # masks at once: a million that wait for a thread take gigabytes


@DATASETS.register_module()
class MaskedImageDataset(FolderDataset):
    """Every image below a folder, or those of a list, with a mask of the same relative name in another folder.

    ``IMAGES/a/b.jpg`` has the mask ``MASKS/a/b.png``. Values other than 0 are objects; see
    :class:`mmseg_unsup.LoadMask`. All masks are read once at the start; images without a usable one are left out, and
    the counts are logged.

    Args:
        data_root: folder of the images.
        mask_root: folder of the masks, as it is, not below ``data_root``.
        data_prefix: ``img_path`` may name a folder below ``data_root``.
        ann_file: a list of images, below ``data_root``: names without suffix, relative to the image folder. Without
            one, every image is used.
        img_suffix: of the images of ``ann_file``.
        mask_suffix: of the masks.
        min_area: a mask must cover this share of its image.
        missing: an image without a mask file stops the run (``'raise'``) or is left out (``'skip'``).
        allow_outside: ``data_prefix`` may lead out of ``data_root``; the lines of ``ann_file`` may not lead out of the
            image folder, as they name the masks too.

    Raises:
        FileNotFoundError: a folder, the list, or (``'raise'``) a mask does not exist.
        ValueError: a bad option; no image, or no usable mask; a mask that cannot be read; two images with one mask;
            a path that leads out of its folder.
    """

    METAINFO = dict(classes=('background', 'object'), palette=[[0, 0, 0], [255, 255, 255]])

    def __init__(self,
                 data_root: str,
                 mask_root: str,
                 data_prefix: dict = dict(img_path=''),
                 mask_suffix: str = '.png',
                 min_area: float = 0.01,
                 missing: str = 'raise',
                 **kwargs) -> None:
        if missing not in MISSING:
            raise ValueError(f'missing={missing!r} is not one of {MISSING}')
        check_share('min_area', min_area, includes_one=False)
        self.mask_root, self.mask_suffix = mask_root, mask_suffix
        self.min_area, self.missing = min_area, missing
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix['img_path']), **kwargs)

    def full_init(self) -> None:
        self.serialize_data = False  # what load_data_list gives is smaller, and data workers share it as it is
        super().full_init()

    def load_data_list(self) -> Records:
        if not osp.isdir(self.mask_root):
            raise FileNotFoundError(f'the mask folder {self.mask_root!r} does not exist: set mask_root (--cfg-options '
                                    'mask_root=PATH); tools/make_priors.py makes masks')
        self._check_inside('mask_suffix', self.mask_suffix.lstrip('/'), self.mask_root)
        images, masks = self._drop_missing(*self._pair())
        areas = self._areas(masks)
        usable = [i for i, area in enumerate(areas) if area > 0 and area >= self.min_area]
        n_empty, n_small = sum(area == 0 for area in areas), sum(0 < area < self.min_area for area in areas)
        if not usable:
            raise ValueError(f'none of the {len(masks)} masks below {self.mask_root} can be used: {n_empty} are empty '
                             f'(all 0) and {n_small} cover less than {100 * self.min_area:g} % of their image. Set '
                             'mask_root to the right folder, make other masks, or lower min_area of the data set')
        print_log(f'masks: {len(usable)} of {len(masks)} images are used, object pixels '
                  f'{100 * (sum(areas) / len(areas)):.1f} %', logger='current')
        if len(usable) < len(masks):
            say(f'masks: {len(masks) - len(usable)} of {len(masks)} images are left out, {n_empty} with an empty mask, '
                f'{n_small} with less than {100 * self.min_area:g} %')
        return Records(_record, images[np.array(usable)], masks[np.array(usable)])

    def _pair(self) -> Tuple[PathList, PathList]:
        """All images, and the paths that their masks must have."""
        folder = osp.normpath(self.data_prefix['img_path'])
        check_folder(folder)
        images = self._listed(folder) if self.ann_file else find_images(folder)
        stems = [osp.splitext(osp.relpath(image, folder))[0] for image in images]
        stem, count = Counter(stems).most_common(1)[0]
        if count > 1:
            raise ValueError(f'{count} images below {folder} are named {stem!r} and would share one mask: rename them')
        return images, PathList(self.mask_root, (stem + self.mask_suffix for stem in stems))

    def _listed(self, folder: str) -> PathList:
        if not osp.isfile(self.ann_file):
            raise FileNotFoundError(f'the list {self.ann_file!r} does not exist: set ann_file, or leave it empty to '
                                    f'use every image in {folder}')
        names = read_list(self.ann_file)  # a mask has the name of its image, so both must lie below their folders
        if not names:
            raise ValueError(f'the list {self.ann_file!r} names no image')
        return PathList(folder, (name + self.img_suffix for name in names))

    def _drop_missing(self, images: PathList, masks: PathList) -> Tuple[PathList, PathList]:
        is_there = np.array([osp.isfile(mask) for mask in masks])
        if is_there.all():
            return images, masks
        first = int(is_there.argmin())
        facts = (f'{np.count_nonzero(~is_there)} of {len(images)} images have no mask, for example {images[first]}: '
                 f'{masks[first]} does not exist')
        if not is_there.any() or self.missing == 'raise':
            raise FileNotFoundError(f"{facts}. Set mask_root to the folder of the masks, or missing='skip' of the data "
                                    'set to leave such images out')
        say(f'masks: {facts}')
        found = np.flatnonzero(is_there)
        return images[found], masks[found]

    def _areas(self, paths: PathList) -> List[float]:
        """Share of object pixels of every mask; the ranks read a part each."""
        rank, world_size = get_dist_info()
        with ThreadPoolExecutor(_READERS) as pool:
            mine = list(read_ahead(partial(pool.submit, _area), paths[rank::world_size], _SUBMITTED))
        areas = [None] * len(paths)
        for other, part in enumerate(all_gather_object(mine)):
            areas[other::world_size] = part
        faults = [area for area in areas if isinstance(area, str)]
        if faults:  # raised by all ranks together
            raise LabelError(*faults)
        return areas


def _record(image: str, mask: str) -> dict:
    return dict(img_path=image, mask_path=mask, seg_fields=[])


def _area(path: str) -> Union[float, str]:
    """The share of object pixels, or why the mask cannot be used."""
    try:
        mask = read_mask(path)
    except LabelError as error:
        return str(error)
    return np.count_nonzero(mask) / mask.size
