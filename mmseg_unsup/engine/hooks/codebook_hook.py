"""Fits the codebook of a model to its frozen features."""
from typing import List, Sequence, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ...models.losses.modularity_loss import modularity_loss
from ...registry import HOOKS
from ...utils.checks import check_counts, check_positive
from ...utils.preemption import stop_if_asked
from ...utils.random import keyed_generator
from ..feature_pass import unwrap
from ..fitting import FeatureBatch
from .fit_hook import START, FitHook

# streams of the keyed generator
_INIT, _CELLS, _ORDER = range(11, 14)
# cells of the maps that are read for a code; of those of a square of `side` cells one is kept
CELLS_PER_CODE = 128


@HOOKS.register_module()
class CodebookHook(FitHook):
    """Makes the codes of a :class:`mmseg_unsup.CAUSE` the communities of the cells of an image, without labels.

    In one pass over the training images as evaluation sees them, a random cell of every square of ``side`` x ``side``
    cells is kept; Adam then lowers :func:`mmseg_unsup.models.losses.modularity_loss` of batches of these images. A
    checkpoint has the codebook, so that a continued run has it. The result does not depend on the number of processes
    nor on the batches of the loader.

    Args:
        side: of the squares, in cells; cells beyond the last whole square are left out.
        steps: of Adam.
        batch_images: images of a step.
        lr: of Adam.
        temperature: of the modularity.
        max_images: images, or as a float the share of them, that are read; None for all; ``'auto'`` for as many as give
            ``CELLS_PER_CODE`` kept cells to each code.

    Source: "modularity-based codebook" of CAUSE (arXiv 2310.07379), section 3.2; constants of the released code, which
    takes one step for every 16 images of the data set.

    Raises:
        TypeError: the model has no codebook.
        ValueError: a number that cannot be; the maps are smaller than a square.
    """

    moment, name, phase = START, 'codebook', 'codebook'
    priority = 'NORMAL'  # before the teacher starts

    def __init__(self,
                 side: int = 4,
                 steps: int = 1000,
                 batch_images: int = 16,
                 lr: float = 1e-3,
                 temperature: float = 0.1,
                 max_images: Union[int, float, str, None] = 'auto') -> None:
        check_counts(side=side, steps=steps, batch_images=batch_images)
        check_positive('lr', lr)
        check_positive('temperature', temperature)
        self.side, self.steps, self.batch_images = side, steps, batch_images
        self.lr, self.temperature, self.max_images = lr, temperature, max_images

    def before_train(self, runner) -> None:
        model = unwrap(runner.model)
        if not hasattr(model, 'codebook'):
            raise TypeError(f'{type(model).__name__} has no codebook: set default_hooks.codebook=None')
        super().before_train(runner)

    def is_due(self, runner, event: str) -> bool:
        model = unwrap(runner.model)
        is_wanted = getattr(model, 'fits_codebook', False) and not model.codebook.is_fitted
        return is_wanted and super().is_due(runner, event)

    def times(self, runner) -> Sequence[int]:
        return [0] * self.is_due(runner, 'before_train')

    def needed_cells(self, model: torch.nn.Module) -> int:
        return CELLS_PER_CODE * len(model.codebook.weight) * self.side**2

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._key, self._n_images, self._device = key, n_images, device
        self._cells: List[Tensor] = [torch.zeros(0)] * n_images  # of the images of this rank, by position
        self._shape, self._in_index = model.codebook.weight.shape, model.neck.in_index

    def add(self, batch: FeatureBatch) -> None:
        feats = batch.backbone_map(self._in_index)
        for position, of_image in zip(batch.positions, feats):
            generator = keyed_generator(*self._key, _CELLS, position)
            self._cells[position] = sample_squares(of_image, self.side, generator).float()

    def finish(self) -> None:
        weight = keyed_generator(*self._key, _INIT).uniform(-1, 1, self._shape) / self._shape[0]
        self.codes = torch.tensor(weight, dtype=torch.float32, device=self._device, requires_grad=True)
        optimizer = torch.optim.Adam([self.codes], lr=self.lr)
        self.losses = []
        for batch in self._batches():
            self.losses.append(self._differentiate(batch))
            optimizer.step()
            stop_if_asked()
        self._count_used()

    def _batches(self) -> Sequence[np.ndarray]:
        """Positions of the images of every step, the same on all ranks: the images in one random order after
        another."""
        n_images = self._n_images
        epochs = -(-self.steps * self.batch_images // n_images)
        order = np.concatenate([keyed_generator(*self._key, _ORDER, epoch).permutation(n_images)
                                for epoch in range(epochs)])
        return [order[step * self.batch_images:(step + 1) * self.batch_images] for step in range(self.steps)]

    def _differentiate(self, positions: np.ndarray) -> Tensor:
        """Set the gradient of the mean over the images, and return that.

        Image by image, and summed in float64: the sum has the same digits for any number of ranks.
        """
        total = torch.zeros(self.codes.numel() + 2, dtype=torch.float64, device=self._device)
        for position in positions:
            cells = self._cells[position]
            if len(cells):
                with torch.enable_grad():
                    loss = modularity_loss(cells[None], self.codes, self.temperature)
                    gradient, = torch.autograd.grad(loss, self.codes)
                total[:-2] += gradient.flatten()
                total[-2:] += torch.stack([loss.detach(), torch.ones_like(loss)])
        all_reduce(total)
        total[:-1] /= total[-1].clamp(min=1)
        self.codes.grad = total[:-2].view_as(self.codes).float()
        return total[-2].clone()  # what is kept of a step should not keep its gradient

    def _count_used(self) -> None:
        """Count the codes that are the nearest one of a cell."""
        units = F.normalize(self.codes.detach(), dim=1)
        used = torch.zeros(len(units), device=self._device)
        for cells in self._cells:
            if len(cells):
                used[(cells @ units.t()).argmax(1)] = 1
        all_reduce(used, 'max')
        self.n_used = int(used.sum())

    def use(self, runner, model: torch.nn.Module) -> None:
        model.codebook.fit(self.codes.detach())
        first, last = (-float(torch.stack(part).mean()) for part in (self.losses[:10], self.losses[-10:]))
        runner.logger.info(f'{self.name}: modularity {first:.4f} at first, {last:.4f} after {self.steps} steps on '
                           f'{self._n_images} images; {self.n_used} of {len(self.codes)} codes are nearest to a cell')
        self._cells = []


def sample_squares(feats: Tensor, side: int, generator: np.random.Generator) -> Tensor:
    """(C, h, w) -> (P, C), a random cell of every square of ``side`` x ``side`` cells, row by row.

    Raises:
        ValueError: the map is smaller than a square.
    """
    n_rows, n_columns = (length // side for length in feats.shape[1:])
    if not n_rows * n_columns:
        raise ValueError('feature maps of {} x {} cells have no square of {side} x {side} cells: set '
                         'default_hooks.codebook.side to 1'.format(*feats.shape[1:], side=side))
    drawn = torch.from_numpy(generator.integers(side**2, size=n_rows * n_columns)).to(feats.device)
    return cells_of_squares(feats, side, drawn)


def cells_of_squares(feats: Tensor, side: int, drawn: Tensor) -> Tensor:
    """(C, h, w), and (P,) the number of a cell within each square, row by row -> (P, C)."""
    n_rows, n_columns = (length // side for length in feats.shape[1:])
    squares = feats[:, :n_rows * side, :n_columns * side].unflatten(2, (n_columns, side)).unflatten(1, (n_rows, side))
    squares = squares.permute(1, 3, 2, 4, 0).reshape(n_rows * n_columns, side**2, -1)
    return squares[torch.arange(len(squares), device=feats.device), drawn]
