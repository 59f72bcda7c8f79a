"""What takes the place of :class:`mmseg_unsup.LoadImage` where the features of the images are stored."""
import copy
import inspect
import random
from typing import Optional

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from numpy.lib.stride_tricks import as_strided
from torch.utils.data import Dataset

from ..utils.random import keyed_global_rng
from .errors import UnreadableImageError
from .feature_store import FeatureStore, content_hash


class NoteShapes(BaseTransform):
    """Loads an image by another transform, and keeps the shapes that :class:`LoadNothing` gives again.

    Attributes:
        shapes (tuple): (height, width) of the last picture that was decoded, and of its file.
    """

    def __init__(self, load: BaseTransform) -> None:
        self.load, self.shapes = load, None

    def transform(self, results: dict) -> dict:
        results = self.load(results)
        self.shapes = tuple(results['img'].shape[:2]), tuple(results['ori_shape'])
        return results


class LoadNothing(BaseTransform):
    """Gives a black picture of the size that the image has, without a look at its file: crops, labels and what is
    recorded of a sample are as with the image.

    Args:
        store: knows the size of image ``sample_idx`` in ``variant``.

    Raises:
        UnreadableImageError: the image could not be read when its features were made.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def transform(self, results: dict) -> dict:
        row = self.store.row(results['sample_idx'], results['variant'])
        if not row['is_readable']:
            raise UnreadableImageError.of(results['img_path'], 'it could not be read when its features were stored')
        shape = tuple(row['loaded_shape'].tolist())
        blank = as_strided(np.zeros(1, np.uint8), (*shape, 3), (0, 0, 0))  # one byte for all pixels
        results.update(img=blank, img_shape=shape, ori_shape=tuple(row['ori_shape'].tolist()))
        return results


class NotedViews(Dataset):
    """The views of a :class:`mmseg_unsup.ViewDataset` without labels, each sample with the ``shapes`` and the
    :func:`content_hash` of its file.

    Attributes:
        dataset: the views; seeds and faults are those of the data set.
        config (list): of the transforms that make them, without settings that are those by default: who writes one and
            who does not see the same pixels.

    Raises:
        ValueError: the pipeline does not read images by ``LoadImage``.
    """

    def __init__(self, dataset: Dataset) -> None:
        steps = [(config, step) for config, step in zip(dataset.pipeline_config, dataset.pipeline.transforms)
                 if getattr(step, 'loads', None) != 'seg_map_path']
        self.config = [_without_defaults(config, step) for config, step in steps]
        steps = [step for _, step in steps]
        places = [i for i, step in enumerate(steps) if getattr(step, 'loads', None) == 'img_path']
        if len(places) != 1:
            raise ValueError('features are stored of images that one mmseg_unsup.LoadImage reads, but the pipeline has '
                             f'{len(places)} of it: begin it with one')
        self._noted = steps[places[0]] = NoteShapes(steps[places[0]])
        self.dataset = copy.copy(dataset)
        self.dataset.pipeline, self.dataset.with_labels = Compose(steps), False

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        sample, path = self.dataset[idx], self.path_of(idx)
        return dict(sample, shapes=self._noted.shapes, content=content_hash(path) if path else 0)

    def path_of(self, idx: int) -> Optional[str]:
        """None of images that are no files."""
        return self.dataset.dataset.get_data_info(idx).get('img_path')

    def draws(self, sample: dict) -> bool:
        """Whether views are drawn at random: making those of a sample again moves a global generator."""
        idx = sample['data_samples'].sample_idx  # not the first one where that cannot be read
        info = dict(self.dataset.dataset.get_data_info(idx), sample_idx=idx, replaced=False)
        with keyed_global_rng(0):
            following = _next_numbers()
        with keyed_global_rng(0):
            self.dataset.pipeline(info)
            return following != _next_numbers()


def _without_defaults(config: dict, step: BaseTransform) -> dict:
    arguments = inspect.signature(type(step)).parameters
    return {name: value for name, value in config.items()
            if name not in arguments or arguments[name].default != value}


def _next_numbers() -> tuple:
    return random.random(), float(np.random.rand()), float(torch.rand(()))
