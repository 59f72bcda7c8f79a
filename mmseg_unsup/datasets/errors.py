"""Errors of single files, and the policy that may skip them; everything else always stops the run."""
from typing import Callable, List

import torch

from ..utils.paths import printable

ON_ERROR = ('raise', 'skip')
_REMEDY = ". Replace or remove the file, or set on_error='skip' on the data set"


class UnreadableImageError(ValueError):
    """An image file that cannot be used.

    Takes one message, as the data loader re-raises the errors of its workers with a message only.
    """

    @classmethod
    def of(cls, path: str, reason: str) -> 'UnreadableImageError':
        return cls(f'cannot use the image {printable(path)}: {reason}{_REMEDY}')

    @property
    def fault(self) -> str:
        """The message without what to do."""
        return str(self).removesuffix(_REMEDY)


class LabelError(ValueError):
    """Label maps or masks that do not fit their data set or image.

    Args:
        faults: a sentence for each file; the message is the first, and the number of the others.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__(faults[0] + (f'; {len(faults) - 1} more files cannot be used' if len(faults) > 1 else ''))


class UndecodableLabelError(LabelError):
    """A label map or mask whose file is cut off, or is no picture."""


def check_on_error(on_error: str) -> None:
    """Raise ValueError for a policy that there is not."""
    if on_error not in ON_ERROR:
        raise ValueError(f'on_error={on_error!r} is not one of {ON_ERROR}')


class ErrorPolicy:
    """What a data set does with an image that cannot be read, and which ones it met; workers share it.

    Args:
        on_error: ``'raise'`` stops the run with the path, ``'skip'`` takes the next readable image instead.
        n_images: of the data set.
    """

    def __init__(self, on_error: str, n_images: int) -> None:
        check_on_error(on_error)
        self._on_error = on_error
        self._unreadable = torch.zeros(n_images, dtype=torch.bool).share_memory_()

    def load(self, idx: int, load: Callable[[int, bool], dict]) -> dict:
        """The result of ``load(idx, replaced)`` for the first image from ``idx`` on that can be read.

        Raises:
            UnreadableImageError: with ``'raise'``.
            ValueError: no image can be read at all.
            IndexError: there is no such image.
        """
        n_images, first = len(self._unreadable), None
        if idx >= n_images:  # how Python ends a loop over a data set
            raise IndexError(f'image {idx} of {n_images}')
        for offset in range(n_images):
            candidate = (idx + offset) % n_images
            try:
                return load(candidate, offset > 0)
            except UnreadableImageError as error:
                if self._on_error == 'raise':
                    raise
                self._unreadable[candidate] = True
                first = first or str(error)
        raise ValueError(f'none of the {n_images} images can be read, for example: {first}')

    def unreadable(self) -> List[int]:
        """Indices of the images that could not be read so far, by any worker of this rank."""
        return torch.nonzero(self._unreadable).flatten().tolist()
