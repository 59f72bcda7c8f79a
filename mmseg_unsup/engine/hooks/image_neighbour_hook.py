"""Nearest neighbours of the training images by their frozen features."""
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ...clustering.neighbours import nearest_rows
from ...datasets.partner_dataset import PartnerDataset
from ...registry import HOOKS
from ..feature_pass import unwrap
from ..fitting import FeatureBatch
from ..forecast import progress_of
from .fit_hook import START, FitHook, Reading

_BLOCK = 4096  # images whose neighbours are searched at a time


@HOOKS.register_module()
class ImageNeighbourHook(FitHook):
    """Tells a :class:`mmseg_unsup.PartnerDataset` which images are alike, before the training begins or goes on.

    An image is the mean of its frozen features, of unit length; neighbours have the largest cosines. The search is
    exact, an image is never its own neighbour, and features are those of evaluation mode. (The released code of STEGO
    zeroes a random tenth of the channels of each image, and leaves out the most alike image, which is the image itself
    unless there are duplicates.)

    Raises:
        TypeError: the training data set has no partners, or the backbone trains.
        ValueError: there are too few images.
    """

    moment, name, phase = START, 'image neighbours', 'neighbours'
    priority = 'NORMAL'

    def reading(self, runner, labelled: bool = False) -> Reading:
        return Reading(runner.train_dataloader, (runner.seed, 0))

    def times(self, runner) -> Sequence[int]:
        return [progress_of(runner)[0]]

    def before_train(self, runner) -> None:
        dataset = runner.train_dataloader.dataset
        if not isinstance(dataset, PartnerDataset):
            raise TypeError(f'train_dataloader.dataset is a {type(dataset).__name__}, whose images have no partners: '
                            'set its type to mmseg_unsup.PartnerDataset')
        if not getattr(unwrap(runner.model).backbone, 'is_frozen', False):
            raise TypeError('neighbours are found once, by features that stay as they are: put model.backbone into '
                            "dict(type='mmseg_unsup.FrozenBackbone', backbone=...)")
        n_neighbours = dataset.neighbours.size(1)
        if n_neighbours >= len(dataset):
            remedy = (f'set train_dataloader.dataset.n_neighbours to at most {len(dataset) - 1}'
                      if len(dataset) > 1 else 'add images')
            raise ValueError(f'{len(dataset)} training images cannot have {n_neighbours} neighbours each: {remedy}')
        super().before_train(runner)

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._means = torch.zeros(0)
        self._n_images, self._in_index = n_images, model.neck.in_index

    def add(self, batch: FeatureBatch) -> None:
        means = batch.backbone_map(self._in_index).float().mean((2, 3))
        if not len(self._means):
            self._means = means.new_zeros(self._n_images, means.size(1))
        self._means[batch.sample_indices] = means

    def finish(self) -> None:
        all_reduce(self._means)  # every row has one rank that holds it
        self.neighbours = image_neighbours(self._means, self.n_neighbours)

    def prepare(self, runner) -> None:
        self.n_neighbours = runner.train_dataloader.dataset.neighbours.size(1)

    def use(self, runner, model: torch.nn.Module) -> None:
        runner.train_dataloader.dataset.neighbours.copy_(self.neighbours)


def image_neighbours(means: Tensor, k: int) -> Tensor:
    """(N, C) descriptions of images -> (N, k) int64, the others with the largest cosines, most alike first."""
    rows, found = F.normalize(means.float(), dim=1), []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start:start + _BLOCK]
        _, index = nearest_rows(block, rows, k + 1)
        own = torch.arange(start, start + len(block), device=rows.device)[:, None]
        last = torch.arange(k + 1, device=rows.device)
        # of duplicates the image itself need not come first: it goes to the end, and the end is cut off
        order = torch.where(index == own, k + 1, last).argsort(1)
        found.append(index.gather(1, order)[:, :k])
    return torch.cat(found)
