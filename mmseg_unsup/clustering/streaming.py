"""Drives k-means over a stream of images whose result does not depend on batches or ranks."""
import math
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor

from ..utils.checks import check_count, check_counts
from ..utils.random import keyed_generator
from .kmeans import MiniBatchKMeans, accumulate, fit_together
from .seeding import PositionedRows, RowBuffer, draw_plus_plus, draw_uniform, sample_cells

# Stream of the keyed generator that picks the rows to start from.
_SEED_ROWS = 1


def check_stream(init_images: int, update_images: int, init_pixels: Optional[int]) -> None:
    """Raise ValueError unless these are settings of :class:`StreamingKMeans`."""
    check_counts(init_images=init_images, update_images=update_images)
    if init_pixels is not None:
        check_count('init_pixels', init_pixels)


class StreamSettings:
    """The settings of k-means over a stream of images, a base of what is fitted so.

    Args:
        kmeans: arguments of :class:`MiniBatchKMeans` besides ``n_clusters``.
        init_images: images of the initial Lloyd iterations.
        update_images: images per update of the running means after that.
        init_pixels: feature cells, over all images and ranks, in the Lloyd iterations; None for all. Memory of the
            clustering is ``views x init_pixels x C x 4`` bytes.
    """

    def __init__(self, *args, kmeans: Optional[dict] = None, init_images: int = 5120, update_images: int = 256,
                 init_pixels: Optional[int] = 200_000, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.kmeans = kmeans or {}
        self.stream = dict(init_images=init_images, update_images=update_images, init_pixels=init_pixels)
        # a bad setting must fail now, not after the pass
        MiniBatchKMeans(2, **self.kmeans)
        check_stream(**self.stream)

    def assigned_by(self, models: Sequence[MiniBatchKMeans], n_images: int, n_cells: int) -> List[Tuple[int, int]]:
        """The work of a fit to images of ``n_cells`` cells: clusters of each model, and the rows that are assigned to
        them in all its iterations."""
        init_images, init_pixels = min(self.stream['init_images'], n_images), self.stream['init_pixels']
        of_image = n_cells if init_pixels is None else min(n_cells, max(1, init_pixels // init_images))
        later = (n_images - init_images) * n_cells
        return [(model.n_clusters, model.n_assigned(of_image * init_images) + later) for model in models]


class StreamingKMeans:
    """Fits k-means models to the views of images that pass by once.

    Images have a *position*, their place in the global order of the epoch. Those before ``init_images`` feed the
    initial Lloyd (``init_pixels`` cells of them, drawn per image); after that the centres move once per
    ``update_images`` positions. Boundaries are global positions and random choices are keyed by position, so neither
    the batch size nor the number of ranks changes which rows form an update.

    Each rank passes its own images in ascending position. At a boundary all views are updated, in order, on all ranks;
    :meth:`finish` runs the updates that a rank without images in the last blocks still owes. Updates are collective:
    where several streams, or other collectives, share a pass, every :meth:`add` must be followed by :meth:`advance`.

    Args:
        models: per view, the :class:`MiniBatchKMeans` to fit to it, which differ in the number of clusters only.
        n_images: number of positions in the epoch, over all ranks.
        init_images: images of the initial Lloyd.
        update_images: images per update after that.
        init_pixels: feature cells of the initial Lloyd over all ranks; None for every cell.
        seed: key of all random choices; pass ``(seed, epoch)``.
        device: of the features. A rank may have none of the first images, and its centres must still be there.

    Raises:
        ValueError: the epoch has fewer cells than clusters.
    """

    def __init__(self,
                 models: Sequence[Sequence[MiniBatchKMeans]],
                 n_images: int,
                 init_images: int,
                 update_images: int,
                 init_pixels: Optional[int] = None,
                 seed: Sequence[int] = (0, ),
                 device: torch.device = torch.device('cpu')) -> None:
        check_count('n_images', n_images)
        check_stream(init_images, update_images, init_pixels)
        self.models = [list(of_view) for of_view in models]
        self.n_images = n_images
        self.init_images = min(init_images, n_images)
        self.update_images = update_images
        self.init_pixels = init_pixels
        self.seed = tuple(seed)
        self.device = device
        self._buffers: List[Optional[RowBuffer]] = [None for _ in self.models]
        self._buffer_positions: Dict[int, int] = {}  # position -> rows in the buffers
        self._n_cells = 0  # that the buffered rows were sampled from
        self._block = -1  # -1: the initial Lloyd has not run

    def add(self, positions: Sequence[int], views: Sequence[Tensor]) -> None:
        """Take a batch: (N,) ascending positions and, per view, (N, C, h, w) features."""
        assert len(views) == len(self.models)
        start = 0
        blocks = [self._block_of(position) for position in positions]
        while start < len(blocks):
            stop = start + 1
            while stop < len(blocks) and blocks[stop] == blocks[start]:
                stop += 1
            self._advance_to(blocks[start])
            for v, feats in enumerate(views):
                self._take(v, positions[start:stop], feats[start:stop])
            start = stop

    def advance(self, end: int) -> None:
        """Run the updates that are due once all ranks have added their images before position ``end``.

        Ranks reach a boundary in different batches, or have no image near it; after this they have run the same ones.
        """
        self._advance_to(self._block_of(min(end, self.n_images - 1)))

    def finish(self) -> None:
        """Run what is left; afterwards the models are fitted. Every rank must call it."""
        self._advance_to(self._block_of(self.n_images - 1) + 1)

    def _block_of(self, position: int) -> int:
        if position < self.init_images:
            return -1
        return (position - self.init_images) // self.update_images

    def _take(self, v: int, positions: Sequence[int], feats: Tensor) -> None:
        rows = feats.float().permute(0, 2, 3, 1).flatten(1, 2)  # (N, h*w, C)
        if self._block >= 0:
            accumulate(self.models[v], rows.flatten(0, 1))
            return
        n_cells, n_keep = rows.size(1), rows.size(1)
        if self.init_pixels is not None:
            n_keep = min(n_cells, max(1, self.init_pixels // self.init_images))
            rows = sample_cells(rows, n_keep, [(*self.seed, position) for position in positions])
        if self._buffers[v] is None:
            self._buffers[v] = RowBuffer(n_keep * math.ceil(self.init_images / get_world_size()))
        self._buffers[v].append(rows.flatten(0, 1))
        if v == 0:
            self._buffer_positions.update(dict.fromkeys(positions, n_keep))
            self._n_cells += n_cells * len(positions)

    def _advance_to(self, block: int) -> None:
        while self._block < block:
            if self._block < 0:
                self._run_init()
            else:
                for model in self._all_models():
                    model.update()
            self._block += 1

    def _all_models(self) -> List[MiniBatchKMeans]:
        return [model for of_view in self.models for model in of_view]

    def _run_init(self) -> None:
        rows_per_position, row_weight = self._gather_row_counts()
        for v, of_view in enumerate(self.models):
            rows = self._buffers[v] and self._buffers[v].rows
            sample = PositionedRows(list(self._buffer_positions), rows, rows_per_position, self.device)
            seeds = [self._draw_seeds(sample, model, (v, m)) for m, model in enumerate(of_view)]
            step = of_view[0].coarse
            on_part = [model.starts_on_part(sample.n_coarse(step)) for model in of_view]
            for part in sorted({*on_part}):
                chosen = [m for m in range(len(of_view)) if on_part[m] == part]
                fit_together([of_view[m] for m in chosen], sample.rows, [seeds[m] for m in chosen], row_weight,
                             sample.coarse(step) if part else None)
            self._buffers[v] = None

    def _gather_row_counts(self) -> Tuple[np.ndarray, float]:
        """Numbers (init_images,) of the rows of each position, over all ranks, and of the cells that a row stands for.

        Both are the same for every view. Collectives: one all-reduce.
        """
        counts = torch.zeros(self.init_images + 1, dtype=torch.double)
        for position, n_rows in self._buffer_positions.items():
            counts[position] = n_rows
        counts[-1] = self._n_cells
        all_reduce(counts)
        n_cells, counts = float(counts[-1]), counts[:-1].long().numpy()
        n_clusters = max(model.n_clusters for model in self._all_models())
        if counts.sum() < n_clusters:
            raise ValueError(f'{counts.sum()} feature cells cannot form {n_clusters} clusters: '
                             'give more images (or a larger init_images, init_pixels), or a smaller n_clusters')
        return counts, n_cells / counts.sum()

    def _draw_seeds(self, sample: PositionedRows, model: MiniBatchKMeans, key: Tuple[int, int]) -> Tensor:
        """Draw (n_init, K, C) rows of the initial sample, each start from its own keyed generator."""
        draw = draw_plus_plus if model.init_method == 'k-means++' else draw_uniform
        return torch.stack([
            draw(sample, model.n_clusters, keyed_generator(*self.seed, _SEED_ROWS, *key, i))
            for i in range(model.n_init)
        ])
