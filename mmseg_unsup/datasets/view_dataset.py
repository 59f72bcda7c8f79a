"""Any data set as a source of views that depend on nothing but seed, epoch and sample index."""
from contextlib import contextmanager
from typing import Iterator, List, Optional, Union

import torch
from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from ..registry import DATASETS
from ..utils.checks import check_count
from ..utils.random import keyed_global_rng
from .errors import ErrorPolicy
from .feature_store import FeatureStore, StoredImages
from .stored_loading import LoadNothing


@DATASETS.register_module()
class ViewDataset(Dataset):
    """Runs a pipeline on the images of another data set, each draw keyed by ``(seed, epoch, sample_idx)``.

    Clustering and training therefore see the same views, whatever the number of workers and ranks, the batch size,
    the order of the sampler, or a resume in between. Seed and epoch live in a shared tensor, so workers that persist
    over epochs see a change. Label paths are dropped: a method cannot read labels by accident. Only the probes that
    evaluate a trained model ask for them.

    Args:
        dataset: config or instance of the data set that lists the images.
        pipeline: transforms; the last one packs ``inputs`` and ``data_samples``.
        on_error: what to do when an image cannot be read. ``'raise'`` stops the run with the path. ``'skip'`` takes
            the next readable image instead, marks the sample as ``replaced`` (clustering leaves it out) and records
            the path for :meth:`unreadable`.
        with_labels: keep the label paths, for ``LoadLabels`` in the pipeline of ``labelled_probe_dataloader``.
        variants: views repeat after so many epochs, so that their features can be stored; None: they never do.

    Attributes:
        pipeline_config (list): ``pipeline``.
        store (FeatureStore): what takes the place of the images, see :meth:`read_from`; None: they are read.

    Raises:
        ValueError: unknown ``on_error``; in ``'skip'`` mode, no image can be read at all; a bad number of variants.
        UnreadableImageError: in ``'raise'`` mode.
    """

    def __init__(self,
                 dataset: Union[dict, BaseDataset],
                 pipeline: List[dict],
                 on_error: str = 'raise',
                 with_labels: bool = False,
                 variants: Optional[int] = None) -> None:
        if variants is not None:
            check_count('variants', variants)
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.pipeline, self.pipeline_config = Compose(pipeline), pipeline
        self.with_labels, self.on_error, self.variants = with_labels, on_error, variants
        self.store: Optional[FeatureStore] = None
        self._stored_pipeline = self.pipeline
        self._policy = ErrorPolicy(on_error, len(self.dataset))
        self._key = torch.zeros(3, dtype=torch.long).share_memory_()  # seed, epoch, whether images are wanted

    @property
    def metainfo(self) -> dict:
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Part of the interface of :class:`mmengine.dataset.BaseDataset`; the inner data set is complete already."""
        self.dataset.full_init()

    def set_key(self, seed: int, epoch: int) -> None:
        """Set what all random draws depend on, in this process and in all workers."""
        self._key[0], self._key[1] = seed, epoch if self.variants is None else epoch % self.variants

    def read_from(self, store: FeatureStore) -> None:
        """Read no image from now on: views are :class:`StoredImages`, and everything else is as before."""
        self.store = store
        steps = self.pipeline.transforms
        self._stored_pipeline = Compose([
            LoadNothing(store) if getattr(step, 'loads', None) == 'img_path' else step for step in steps])

    @contextmanager
    def reading_images(self) -> Iterator[None]:
        """Inside the block all views, also those of workers, are read from the images, whatever is stored of them."""
        self._key[2] = 1
        try:
            yield
        finally:
            self._key[2] = 0

    def unreadable(self) -> List[str]:
        """Paths of the images that could not be read so far, by any worker of this rank."""
        return [self.dataset.get_data_info(idx)['img_path'] for idx in self._policy.unreadable()]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        return self._policy.load(idx, self._views)

    def _views(self, idx: int, replaced: bool) -> dict:
        info = self.dataset.get_data_info(idx)
        if not self.with_labels:
            info.pop('seg_map_path', None)
        info.update(sample_idx=idx, replaced=replaced)
        seed, epoch, wants_images = self._key.tolist()
        store = None if wants_images else self.store
        variant = 0 if store is None else store.variant_of(seed, epoch)
        with keyed_global_rng(seed, epoch, idx):
            packed = (self.pipeline if store is None else self._stored_pipeline)(dict(info, variant=variant))
        if store is not None:
            views = range(len(packed['inputs']))
            packed['inputs'] = [StoredImages(store, [[idx, variant, view, 0]]) for view in views]
        return packed
