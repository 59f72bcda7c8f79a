"""What is fitted to features for training and prediction."""
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast
from torch import Tensor, nn

from ...clustering import MiniBatchKMeans, StreamingKMeans
from ...clustering.pca import StreamingPCA
from ...clustering.sampling import sample_cells
from ...evaluation.functional import fit_descriptor_kmeans
from ...evaluation.probes import Probe
from ...utils.console import warn_once
from ..feature_pass import check_not_collapsed
from .batch import FeatureBatch
from .fit import Fit


class ProbeFit(Fit):
    """Fits a probe to the map of features that it reads.

    Args:
        n_channels: of that map.
        n_classes, ignore_index: of the labels.

    Attributes:
        summary (str): what :meth:`Probe.finish` says.
    """

    def __init__(self, name: str, probe: Probe, n_channels: int, n_classes: int, ignore_index: int = 255,
                 max_images: Optional[Union[int, float]] = None) -> None:
        super().__init__(name, max_images)
        self.probe, self.settings = probe, dict(n_channels=n_channels, n_classes=n_classes, ignore_index=ignore_index)

    def begin(self, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self.probe.begin(n_images=n_images, seed=key[0], device=device, **self.settings)

    def add(self, batch: FeatureBatch) -> None:
        probe = self.probe
        probe.add(batch.positions, batch.feats(probe.features), batch.labels if probe.needs_labels else None,
                  batch.segments if probe.needs_segments else None)
        probe.advance(batch.end)

    def finish(self) -> None:
        self.summary = self.probe.finish()


class PrototypeFit(Fit):
    """k-means for every head and view, on the views that the training sees.

    Args:
        models: per head and view, what is fitted.
        stream: arguments of :class:`StreamingKMeans`.

    Raises:
        CollapsedError: at :meth:`finish`: all centres of a view are zero.
        ValueError: the pipeline makes another number of views.
    """

    def __init__(self, name: str, models: Sequence[Sequence[MiniBatchKMeans]], stream: dict,
                 max_images: Optional[Union[int, float]] = None) -> None:
        super().__init__(name, max_images)
        self.models, self.settings = models, stream

    def begin(self, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self.stream = StreamingKMeans(list(zip(*self.models)), n_images, seed=key, device=device, **self.settings)

    def add(self, batch: FeatureBatch) -> None:
        feats, n_views = batch.view_feats, len(self.models[0])
        if len(feats) != n_views:
            raise ValueError(f'the pipeline makes {len(feats)} view{"s"[:len(feats) > 1]} of an image, but the method '
                             f'labels {n_views}: set num_views={n_views} of mmseg_unsup.MakeViews in '
                             'train_dataloader.dataset.pipeline')
        self.stream.add(batch.positions, feats)
        self.stream.advance(batch.end)

    def finish(self) -> None:
        self.stream.finish()
        for kmeans in self.models[0]:
            check_not_collapsed(kmeans.cluster_centers_, self.name)


class PCAFit(Fit):
    """Principal components of the levels of a backbone, as a projection for a neck that takes one.

    Args:
        n_pixels: feature cells to estimate them from, spread over all images, at least one of each.

    Attributes:
        weight, bias (Tensor): see :meth:`StreamingPCA.projection`.
        explained (float): the share of the variance that they hold.
    """

    def __init__(self, name: str, neck: nn.Module, n_pixels: int) -> None:
        super().__init__(name)
        self.neck, self.n_pixels = neck, n_pixels

    def begin(self, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._pca, self._key, self._n_keep = StreamingPCA(sum(self.neck.in_channels), device), key, self.n_pixels // n_images

    def add(self, batch: FeatureBatch) -> None:
        columns = batch.select(batch.made(
            'hypercolumns', lambda model, views, _: self.neck.hypercolumn(model.backbone(views[0]))))
        cells = columns.permute(0, 2, 3, 1).flatten(1, 2).float()  # (N, h*w, sum of C_l)
        if len(cells):
            self._pca.add(torch.cat([sample_cells(of_image, self._n_keep, (*self._key, position))
                                     for position, of_image in zip(batch.positions, cells)]))

    def finish(self) -> None:
        neck = self.neck
        self.weight, self.bias = self._pca.projection(neck.out_channels, neck.in_channels, neck.level_weights)
        self.explained = self._pca.explained_


class ObjectFit(Fit):
    """Clusters of the descriptors of objects, as a linear classifier; fewer than asked for where objects are few.

    Args:
        n_clusters, seed, whiten: see :func:`fit_descriptor_kmeans`.

    Attributes:
        n_objects (int): that were found.
        weight, bias (Tensor): (K, D), (K,), or None if there are no objects.
    """

    def __init__(self, name: str, n_clusters: int, seed: int, whiten: bool,
                 max_images: Optional[Union[int, float]] = None) -> None:
        super().__init__(name, max_images)
        self.n_clusters, self.seed, self.whiten = n_clusters, seed, whiten

    def begin(self, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._found, self._device = [], device

    def add(self, batch: FeatureBatch) -> None:
        self._found += [(position, of_image.cpu().numpy())
                        for position, of_image in zip(batch.positions, batch.descriptors)]

    def finish(self) -> None:
        everywhere = [entry for of_rank in all_gather_object(self._found) for entry in of_rank]
        descriptors = np.concatenate([of_image for _, of_image in sorted(everywhere, key=lambda entry: entry[0])])
        self.n_objects, self.weight, self.bias = len(descriptors), None, None
        if self.n_objects < self.n_clusters:  # a run of hours must not end here
            warn_once(
                f'{self.n_objects} objects in the training images cannot form {self.n_clusters} clusters'
                f'{", each is one" if self.n_objects else ""}: lower model.decode_head.saliency_threshold, or train '
                'longer', about='too few objects')
        if self.n_objects:
            self.weight, self.bias = (
                torch.from_numpy(values).float().to(self._device)
                for values in fit_descriptor_kmeans(descriptors, self.n_clusters, self.seed, self.whiten))
            for tensor in (self.weight, self.bias):
                broadcast(tensor)  # machines may round differently


class CellSample(Fit):
    """A bounded sample of feature cells, kept as they are; of this rank's images.

    Args:
        n_cells: spread over all images, at least one of each.
        of_views: sample the views of the training, else the default map of the first view.

    Attributes:
        rows (list): per view, (M, C), the same cells in all.
        n_images (int): that they are of.
    """

    def __init__(self, name: str, n_cells: int, of_views: bool, max_images: Optional[Union[int, float]]) -> None:
        super().__init__(name, max_images)
        self.n_cells, self.of_views = n_cells, of_views

    def begin(self, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._n_keep, self._key = self.n_cells // n_images, key
        self._parts: List[List[Tensor]] = []

    def add(self, batch: FeatureBatch) -> None:
        views = batch.view_feats if self.of_views else [batch.feats()]
        for i, position in enumerate(batch.positions):
            cells = (feats[i].permute(1, 2, 0).flatten(0, 1) for feats in views)
            self._parts.append([sample_cells(of_view, self._n_keep, (*self._key, position)) for of_view in cells])

    def finish(self) -> None:
        self.rows, self.n_images = [torch.cat(of_view) for of_view in zip(*self._parts)], len(self._parts)
