"""Labels of pixels as soft labels of feature cells, and which cells a bounded memory keeps."""
from typing import Sequence, Tuple

import torch
from torch import Tensor

from ..utils.devices import to_device
from ..utils.random import keyed_generator

# Stream of the keyed generator, apart from those of the seeding.
_KEEP_CELLS = 5


def class_shares(labels: Tensor, shape: Sequence[int], n_classes: int, ignore_index: int = 255,
                 where: str = '') -> Tensor:
    """(H, W) labels -> (h, w, K) float32 share of each class among the labelled pixels of each cell of an (h, w) grid;
    zeros for a cell without any, on the host.

    Every pixel belongs to one cell. Where the grid is finer than the labels, these are repeated.

    Raises:
        ValueError: a label is neither a class nor ``ignore_index``; it says ``where``.
    """
    (h, w), labels = shape, _at_least(labels.cpu(), shape).long()
    ys, xs = (torch.arange(n) * side // n for n, side in zip(labels.shape, shape))
    labelled = labels != ignore_index
    cells, labels = (ys[:, None] * w + xs)[labelled], labels[labelled]
    check_labels(labels, n_classes, ignore_index, where)
    counts = torch.bincount(cells * n_classes + labels, minlength=h * w * n_classes).view(h, w, n_classes)
    return (counts / counts.sum(-1, keepdim=True).clamp(min=1)).to(torch.float32)


def check_labels(labels: Tensor, n_classes: int, ignore_index: int = 255, where: str = '') -> None:
    """Raise ValueError, which says ``where``, unless all labels are classes."""
    wrong = labels[(labels < 0) | (labels >= n_classes)]
    if len(wrong):
        raise ValueError(f'label {int(wrong[0])} is out of range{where}: expected 0..{n_classes - 1} or {ignore_index} '
                         '(ignored)')


def balanced_order(shares: Tensor, uniform: Tensor) -> Tensor:
    """(cells, K) shares -> (m,) int64 labelled cells of an image, in the order to keep them: rare classes come early.

    The score of a cell is the sum, over the classes that it shows, of the number of cells that show the class, times a
    number from (0, 1); small scores come first.

    Args:
        uniform: (cells,) these numbers.

    Source: ``sample_features`` of the released code of Open Hummingbird.
    """
    shown = (shares > 0).double()
    scores = shown @ shown.sum(0) * uniform
    labelled = torch.nonzero(shown.any(1)).flatten()
    return labelled[scores[labelled].argsort(stable=True)]


def balanced_cells(shares: Tensor, n_keep: int, key: Sequence[int]) -> Tensor:
    """(h, w, K) shares of an image -> (n,) int64 cells of it, ``n_keep`` at most, by :func:`balanced_order` with
    numbers that depend on the key alone."""
    flat = shares.flatten(0, 1)
    uniform = torch.from_numpy(keyed_generator(*key, _KEEP_CELLS).random(len(flat)))
    return balanced_order(flat, uniform)[:n_keep]


def labelled_cells(feats: Tensor, labels: Tensor, n_classes: int, n_keep: int, key: Sequence[int],
                   ignore_index: int = 255, where: str = '') -> Tuple[Tensor, Tensor]:
    """(C, h, w) features of an image, its (H, W) labels in the same frame -> what a memory keeps of it: (m, C) features
    of :func:`balanced_cells`, and their (m, K) shares on the host.

    Raises:
        ValueError: see :func:`class_shares`.
    """
    shares = class_shares(labels, feats.shape[1:], n_classes, ignore_index, where)
    cells = balanced_cells(shares, n_keep, key)
    rows = feats.permute(1, 2, 0).flatten(0, 1)
    return rows[to_device(cells, rows.device)], shares.flatten(0, 1)[cells]


def _at_least(labels: Tensor, shape: Sequence[int]) -> Tensor:
    """Labels whose sides are those of the grid or longer."""
    sides = [max(pair) for pair in zip(labels.shape, shape)]
    ys, xs = (torch.arange(n) * side // n for n, side in zip(sides, labels.shape))
    return labels if sides == [*labels.shape] else labels[ys][:, xs]
