"""The images of a batch as what fits read of them."""
import copy
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from ...evaluation.probes import Probe, labels_on_grid
from ...utils.devices import Readback, to_device
from ..feature_pass import FiniteCheck


class FeatureBatch:
    """Images of a pass, and what the network makes of them.

    Nothing is computed before it is asked for, and nothing twice, however many fits ask. Everything is computed for
    the whole batch and given for those of its images that count: without those that the sampler repeats to fill up the
    last round, stand-ins for unreadable images, and images beyond the number that a fit wants.

    Attributes:
        start, end (int): the batches of all ranks together hold the positions from ``start`` on and before ``end``.
        positions (list): of the images that count, their places in the global order of the sampler, ascending: rank r
            of W holds r, r + W, r + 2 W, ...
        data_samples (list): theirs.
        check (FiniteCheck): of the pass.
    """

    def __init__(self, model: torch.nn.Module, views: List[Tensor], data_samples: list, start: int,
                 check: FiniteCheck) -> None:
        rank, world_size = get_dist_info()
        self.start, self.end = start, start + world_size * len(data_samples)
        self._positions = range(start + rank, self.end, world_size)
        self._inputs, self.check = (model, views, data_samples), check
        self._made: Dict[str, Any] = {}
        self._kept = [i for i, sample in enumerate(data_samples) if not sample.replaced]

    def before(self, n_images: int) -> 'FeatureBatch':
        """The same batch, of which only positions below ``n_images`` count."""
        batch = copy.copy(self)
        batch._kept = [i for i in self._kept if self._positions[i] < n_images]
        return batch

    def made(self, name: str, make: Callable[[torch.nn.Module, List[Tensor], list], Any]) -> Any:
        """What ``make(model, views, data_samples)`` gives for the whole batch, images that do not count included.

        What has a name is made once. All ranks must ask for the same: synchronised batch norm is collective.

        Args:
            make: gets views as V tensors (N, 3, H, W), normalised.

        Raises:
            NonFiniteError: a number in it is none.
        """
        if name not in self._made:
            with torch.no_grad():
                self._made[name] = make(*self._inputs)
            self.check.look(self._made[name], self._inputs[2])
        return self._made[name]

    def select(self, values: Union[Tensor, Sequence]) -> Union[Tensor, list]:
        """The images that count, of a tensor (N, ...) or a sequence with an entry for each of the batch."""
        if len(self._kept) == len(values):
            return values
        if isinstance(values, Tensor):
            return values[to_device(torch.tensor(self._kept, dtype=torch.long), values.device)]
        return [values[i] for i in self._kept]

    @property
    def places(self) -> Sequence[int]:
        """Positions of all images of the batch, those that do not count included."""
        return self._positions

    @property
    def positions(self) -> List[int]:
        return list(self.select(self._positions))

    @property
    def data_samples(self) -> list:
        return self.select(self._inputs[2])

    @property
    def sample_indices(self) -> List[int]:
        """Of the images, in the data set."""
        return [sample.sample_idx for sample in self.data_samples]

    @property
    def images(self) -> Union[Tensor, Any]:
        """(N, 3, H, W) of the first view, normalised, or what a feature cache has in their place."""
        return self.select(self.made('images', lambda model, views, samples: views[0]))

    def backbone_map(self, index: int) -> Tensor:
        """(N, C, h, w) output of the backbone for the first view, by its number."""
        return self.select(self.made(f'backbone_map.{index}', lambda model, views, samples: backbone_map(
            model, views[0], index)))

    def _maps(self):
        return self.made('maps', lambda model, views, samples: model.forward_maps(
            views[0], [sample.metainfo for sample in samples]))

    def feats(self, name: Optional[str] = None) -> Tensor:
        """(N, C, h, w) map of the first view, of the model's ``probe_channels``; the first of them by default."""
        feats = self._maps().feats
        return self.select(feats[name or next(iter(feats))])

    @property
    def segments(self) -> Tensor:
        """(N, h, w) int64 ids of the model's segments, -1 for none."""
        return self.select(self.made('segments', lambda *_: self._maps().segments()))

    @property
    def descriptors(self) -> List[Tensor]:
        """Per image (S, D), of its objects."""
        return self.select(self.made('descriptors', lambda *_: self._maps().descriptors()))

    @property
    def labels(self) -> Tensor:
        """(N, h, w) int64, the label of the pixel at the centre of each cell of the default map."""
        like = next(iter(self._maps().feats.values()))
        return self.select(self.made('labels', lambda model, views, samples: read_labels(samples, like)))

    @property
    def label_maps(self) -> List[Tensor]:
        """Per image (H, W) labels of all pixels, in the frame of the features, on the host."""
        reads = self.made('label_reads', lambda model, views, samples: [Readback(label_map(of)) for of in samples])
        return [read.wait() for read in self.select(reads)]

    @property
    def view_feats(self) -> List[Tensor]:
        """V maps (N, C, h, w) of unit length, on the grid of the first view."""
        of_views = self.made('view_feats', lambda model, views, samples: model.view_feats(views, samples))
        return [self.select(feats) for feats in of_views]

    def feed(self, probe: Probe) -> None:
        """Give a probe what it reads."""
        labels = None
        if probe.needs_labels:
            labels = self.label_maps if probe.needs_label_maps else self.labels
        probe.add(self.positions, self.feats(probe.features), labels, self.segments if probe.needs_segments else None)
        probe.advance(self.end)


def backbone_map(model: torch.nn.Module, images: Tensor, index: int) -> Tensor:
    """(N, 3, H, W) -> the (N, C, h, w) output of the backbone of this number, in the precision of passes without
    gradient."""
    with model.no_grad_precision():
        return model.backbone(images)[index]


def read_labels(samples: list, feats: Tensor) -> Tensor:
    """(N, h, w) int64 labels of the cells of (N, C, h, w) features; a ValueError if a sample has none."""
    grids = [labels_on_grid(label_map(sample), feats.shape[2:]) for sample in samples]
    return to_device(torch.stack(grids), feats.device)


def label_map(sample) -> Tensor:
    """(H, W) labels of a sample; a ValueError if it has none."""
    if 'gt_sem_seg' not in sample:
        raise ValueError('the samples of labelled_probe_dataloader have no labels: put mmseg_unsup.LoadLabels after '
                         'mmseg_unsup.LoadImage in its pipeline')
    return sample.gt_sem_seg.data[0]
