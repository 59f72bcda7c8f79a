"""Scores of frames as their means over time."""
import os.path as osp
import sys
from collections import deque
from typing import Deque, Iterable, Iterator, Sequence, Tuple

import torch
from torch import Tensor


class TimeMean:
    """The mean of the scores of an image and of so many before it in its folder; one after the other, by their names.

    A map that follows the mean flickers less, and lags behind what moves by half the number. Where scores are linear in
    the features, as those of k-means and PiCIE, the mean is the score of the mean features. Nothing before the window
    counts, so that work which was stopped goes on exactly after :func:`with_images_before`.

    Args:
        n_frames: number of images in a mean.
    """

    def __init__(self, n_frames: int) -> None:
        self._frames: Deque[Tuple[str, Tensor]] = deque(maxlen=min(n_frames, sys.maxsize))  # folder, scores

    def clear(self) -> None:
        """Forget all images."""
        self._frames.clear()

    def __call__(self, path: str, scores: Tensor) -> Tensor:
        """Scores of an image -> their mean, of the same shape; images of another size begin anew."""
        folder = osp.dirname(path)
        if self._frames and (self._frames[-1][0] != folder or self._frames[-1][1].shape != scores.shape):
            self.clear()
        self._frames.append((folder, scores))
        return torch.stack([scores for _, scores in self._frames]).mean(0)


def with_images_before(numbers: Iterable[int], names: Sequence[str], n_frames: int) -> Iterator[int]:
    """Numbers of images with missing maps, in their order, and before each those that its mean is of too."""
    last = -1
    for number in numbers:
        folder, first = osp.dirname(names[number]), number
        while first - 1 > last and number - first < n_frames - 1 and osp.dirname(names[first - 1]) == folder:
            first -= 1
        yield from range(first, number + 1)
        last = number
