"""What is fitted to the frozen features of a trained model to measure them; tensors and collectives only."""
import math
from abc import ABCMeta, abstractmethod
from typing import List, Optional, Sequence, Tuple, Union

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor

from ...clustering.neighbours import NeighbourVote
from ...clustering.seeding import RowBuffer, sample_cells
from ...clustering.soft_labels import check_labels
from ...functional.crf import build_crf
from ...utils.checks import check_count


class Probe(metaclass=ABCMeta):
    """Sees the features of the training images once, then scores those of any image.

    Images come with *positions*, their places in the global order of the pass, so that neither batches nor ranks change
    what is fitted. All ranks call :meth:`begin` and :meth:`finish`, and :meth:`add` with their own images in ascending
    position; all end with the same probe. It never touches the model.

    Args:
        name: the maps are ``pred_sem_seg_<name>``.
        features: which of the model's feature maps to read; None for its first, of those in ``probe_channels``.
        crf: also predict ``<name>_crf``, the same scores after a dense CRF: settings of :func:`build_crf`, or True for
            its defaults.

    Attributes:
        needs_labels (bool): whether :meth:`add` needs labels.
        needs_label_maps (bool): whether these are of all pixels, a label map per image, in place of one of each cell.
        needs_segments (bool): whether :meth:`add` and :meth:`scores` need segments.
        predicts_classes (bool): scores are of classes, which need no matching.
        repeats (int): R, sets of scores.
        repeats_are_stages (bool): the sets are stages of one fit, the last one its end; else they are fits of their
            own.
    """
    needs_labels = False
    needs_label_maps = False
    needs_segments = False
    predicts_classes = False
    repeats = 1
    repeats_are_stages = False

    def __init__(self, name: str, features: Optional[str] = None, crf: Union[bool, dict, None] = None) -> None:
        self.name, self.features = name, features
        self.crf = build_crf(**({} if crf is True else crf)) if crf else None

    @property
    def fitted_sets(self) -> List[str]:
        """Names of the R sets of scores."""
        return repeated_names(self.name, self.repeats)

    @property
    def refined_sets(self) -> List[str]:
        """Names of the same after the CRF, if there is one."""
        return repeated_names(f'{self.name}_crf', self.repeats) if self.crf else []

    @property
    def set_names(self) -> List[str]:
        """Names of the maps: the sets, and each after the CRF if there is one."""
        return self.fitted_sets + self.refined_sets

    def n_outputs(self, n_classes: int) -> int:
        """K, the channels of a set of scores."""
        return n_classes

    def begin(self,
              n_channels: int,
              n_classes: int,
              n_images: int,
              seed: int,
              device: torch.device,
              ignore_index: int = 255) -> None:
        """Forget an earlier fit and get ready for ``n_images`` images over all ranks."""
        self.n_channels, self.n_classes, self.n_images = n_channels, n_classes, n_images
        self.seed, self.device, self.ignore_index = seed, device, ignore_index

    @abstractmethod
    def add(self,
            positions: Sequence[int],
            feats: Tensor,
            labels: Optional[Tensor] = None,
            segments: Optional[Tensor] = None) -> None:
        """Take (N,) positions, (N, C, h, w) features of unit length and, where needed, (N, h, w) int64 labels, or N
        maps (H, W), and segments: ids from 0 on that count anew in every image, -1 for none."""

    def advance(self, end: int) -> None:
        """All ranks have added their images before position ``end``; called after every :meth:`add`, which several
        probes may take in turn. Collectives belong here, where ranks are at one place, or in :meth:`finish`."""

    @abstractmethod
    def finish(self) -> str:
        """Fit; afterwards :meth:`scores` works. Returns a line for the log."""

    @abstractmethod
    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        """(N, C, h, w) features of unit length -> (N, K, h, w) scores of a set; the largest wins."""


class LabelledRowsProbe(Probe):
    """A probe that learns classes from rows with a label each, such as feature cells.

    Attributes:
        unit (str): what a row is, for messages.

    Raises:
        ValueError: at :meth:`gather`: no row has a label, a label is no class, or features are not finite.
    """
    needs_labels = True
    predicts_classes = True
    unit = 'cell'

    def _begin_rows(self, capacity: int, n_shares: Optional[int] = None) -> None:
        """Forget all rows and reserve memory for those of this rank.

        Args:
            n_shares: a row's label is so many shares of classes; None for a class.
        """
        self._rows, self._n_shares = RowBuffer(capacity), n_shares
        self._labels: List[Tensor] = []
        self._positions: List[int] = []

    def _keep(self, position: int, rows: Tensor, labels: Tensor) -> None:
        """Store (m, C) rows and (m,) classes, or (m, K) shares, of an image."""
        self._rows.append(rows.float())
        self._labels.append(labels.cpu())
        self._positions.append(position)

    def gather(self) -> Tuple[Tensor, Tensor]:
        """(M, C) rows of all ranks in the order of their images, and their (M,) classes or (M, K) shares; the same on
        all ranks.

        Collectives: three all-reduces.
        """
        counts = torch.zeros(self.n_images, dtype=torch.double)
        for position, labels in zip(self._positions, self._labels):
            counts[position] = len(labels)
        all_reduce(counts)
        counts = counts.long()
        if not counts.any():
            raise ValueError(f'the probe {self.name!r} found no labelled {self.unit} in {self.n_images} images: check '
                             f'the label folder and ignore_index={self.ignore_index}')
        starts = counts.cumsum(0) - counts
        mine = [torch.arange(starts[position], starts[position] + counts[position]) for position in self._positions]
        rows = torch.zeros(int(counts.sum()), self.n_channels, device=self.device)
        labels = torch.zeros(len(rows), dtype=torch.long) if self._n_shares is None else torch.zeros(
            len(rows), self._n_shares)
        if mine:
            rows[torch.cat(mine).to(self.device)], labels[torch.cat(mine)] = self._rows.rows, torch.cat(self._labels)
        self._rows, self._labels, self._positions = None, [], []
        all_reduce(rows)  # every row has one rank that holds it: the sums are exact
        all_reduce(labels)
        if self._n_shares is None:
            self.check_classes(labels)
        if not rows.isfinite().all():
            raise ValueError(f'features for the probe {self.name!r} are not finite: check the checkpoint')
        return rows, labels.to(self.device)

    def check_classes(self, labels: Tensor) -> None:
        """Raise ValueError unless all labels are classes."""
        check_labels(labels, self.n_classes, self.ignore_index, f' for the probe {self.name!r}')


class NeighboursProbe(LabelledRowsProbe):
    """A probe that keeps its rows as a memory, of which the nearest ones to a row vote for its class.

    Args:
        k, temperature, backend, block_bytes: see :class:`mmseg_unsup.clustering.NeighbourVote`.

    Attributes:
        memory (Tensor), memory_labels (Tensor): (M, C) rows of unit length and their (M, K) shares of the classes.

    Raises:
        ValueError: bad option; at :meth:`finish`: there are fewer than ``k`` rows; see :class:`LabelledRowsProbe`.
    """
    remedy = 'give more images'

    def __init__(self, name: str, k: int, temperature: float, backend: str = 'auto',
                 block_bytes: Optional[int] = None, **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.vote = NeighbourVote(k, temperature, backend, block_bytes, f' of the probe {name!r}')

    def finish(self) -> str:
        self.memory, self.memory_labels = self.gather()
        if len(self.memory) < self.vote.k:
            raise ValueError(f'the probe {self.name!r} asks for k={self.vote.k} neighbours, but the images gave '
                             f'{len(self.memory)} labelled {self.unit}s: lower k, or {self.remedy}')
        n_classes = int(self.memory_labels.any(0).sum())
        return f'a memory of {len(self.memory)} {self.unit}s of {n_classes} classes'


class LabelledCellsProbe(LabelledRowsProbe):
    """A probe that learns classes from a bounded sample of labelled feature cells.

    Every image gives ``max_cells // n_images`` of its labelled cells, at least one, drawn by its position; of more than
    ``max_cells`` images the first ones do. Memory is ``2 x max_cells x C x 4`` bytes a rank.

    Raises:
        ValueError: bad option; at :meth:`finish`, see :class:`LabelledRowsProbe`.
    """

    def __init__(self, name: str, max_cells: int, **kwargs) -> None:
        super().__init__(name, **kwargs)
        check_count(f'max_cells of the probe {name!r}', max_cells)
        self.max_cells = max_cells

    def begin(self, n_channels: int, n_classes: int, n_images: int, *args, **kwargs) -> None:
        super().begin(n_channels, n_classes, n_images, *args, **kwargs)
        self._per_image = max(1, self.max_cells // n_images)
        self._begin_rows(self._per_image * math.ceil(min(n_images, self.max_cells) / get_world_size()))

    def add(self, positions: Sequence[int], feats: Tensor, labels=None, segments=None) -> None:
        if labels is None:
            raise ValueError(f'the probe {self.name!r} learns from labels, but got none')
        for position, rows, of_image in zip(positions, feats.permute(0, 2, 3, 1).flatten(1, 2), labels.flatten(1)):
            labelled = torch.nonzero(of_image != self.ignore_index)
            if position < self.max_cells and len(labelled):
                cells = sample_cells(labelled[None], self._per_image, [(self.seed, position)])[0, :, 0]
                self._keep(position, rows[cells], of_image[cells])


def labels_on_grid(labels: Tensor, shape: Tuple[int, int]) -> Tensor:
    """(H, W) labels -> (h, w) int64, the label of the pixel at the centre of each feature cell.

    The image may have another resolution than its labels; both show the same frame.
    """
    ys, xs = (((torch.arange(n, device=labels.device) + 0.5) * side / n).long()
              for n, side in zip(shape, labels.shape))
    return labels[ys][:, xs].long()


def repeated_names(name: str, repeats: int) -> List[str]:
    """Names of sets: the name itself, or numbered from 1 on."""
    return [name] if repeats == 1 else [f'{name}_{i + 1}' for i in range(repeats)]
