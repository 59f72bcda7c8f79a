"""A bounded sample of the features of a checkpoint, for reports that need no training loop."""
import copy
from typing import List, NamedTuple, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor

from ..clustering import MiniBatchKMeans, StreamingKMeans
from ..clustering.seeding import sample_cells
from ..datasets.transforms import PairedCropFlip
from ..engine.checkpoint_files import existing_checkpoint
from ..engine.feature_pass import check_view_loader, limit_images, set_view_key
from ..engine.fitting import feature_batches
from ..presets import view_pipeline
from ..registry import MODELS, TRANSFORMS
from ..utils import register_all_modules
from ..utils.devices import default_device
from ..utils.registered import class_of
from ..utils.speed import adapt_loaders
from ..utils.whole_images import resizes_of
from ..weights import load_network_config

# k-means where the config has no fresh one
DEFAULT_KMEANS = dict(n_iter=20, n_init=10)


class FeatureSample(NamedTuple):
    """Unit-length features of cells of the training images."""
    rows: Tensor  # (N, C) as evaluation sees the images
    views: Tuple[Tensor, Tensor]  # twice (M, C), the same cells in two augmented views
    n_images: int


def load_report_config(path: str, options: Optional[dict] = None) -> Config:
    """The config that a checkpoint is built and its images are read by, with everything registered."""
    register_all_modules()
    cfg = load_network_config(path, options)
    adapt_loaders(cfg)
    return cfg


def build_model(cfg: Config, checkpoint: str) -> torch.nn.Module:
    """The model of a config with the weights of a checkpoint, in eval mode, on the GPU if there is one."""
    model = MODELS.build(cfg.model)
    load_checkpoint(model, existing_checkpoint(checkpoint), map_location='cpu', strict=True, logger='silent')
    return model.to(default_device()).eval()


def sample_features(cfg: Config, checkpoint: str, n_images: int, n_cells: int, seed: int = 0) -> FeatureSample:
    """Features of about ``n_cells`` cells of ``n_images`` random training images; no label is read.

    The same seed means the same images, views and cells, whatever the checkpoint.
    """
    configs = {key: _loader_config(cfg, key) for key in ('probe_dataloader', 'train_dataloader')}
    model = build_model(cfg, checkpoint)
    (rows, count), (views, _) = (_sample_loader(model, config, key, n_images, n_cells, seed)
                                 for key, config in configs.items())
    return FeatureSample(rows[0], tuple(views), count)


def _loader_config(cfg: Config, key: str) -> dict:
    """Config of a loader, whose training images make two views whatever the method trains on.

    Where nothing trains, or on images as they are, they are PiCIE's views of the images that the clusters are fitted
    to.
    """
    found = copy.deepcopy(cfg.get(key))
    if key == 'train_dataloader' and not (found and _cuts_views(found.dataset.pipeline)):
        found = _loader_config(cfg, 'probe_dataloader')
        sizes = [transform['size'] for transform in resizes_of(found.dataset.pipeline)]
        found.dataset.pipeline = view_pipeline(*sizes) if len(sizes) == 1 else []
    if found is None or not found.dataset.pipeline:
        raise KeyError(f'the config has no {key}: take it from configs/_base_/datasets/')
    if key == 'train_dataloader':
        for transform in found.dataset.pipeline:
            if getattr(class_of(transform, TRANSFORMS), 'makes_views', False):
                transform['num_views'] = 2
    return found


def _cuts_views(pipeline: List[dict]) -> bool:
    """Whether a pipeline knows which part of an image a view has."""
    kinds = [class_of(transform, TRANSFORMS) for transform in pipeline]
    return any(kind is not None and issubclass(kind, PairedCropFlip) for kind in kinds)


def _sample_loader(model, config: dict, key: str, n_images: int, n_cells: int, seed: int):
    """(N, C) cells of each view, and the number of images they come from."""
    loader = Runner.build_dataloader(config, seed=seed)
    check_view_loader(loader, key)
    set_view_key(loader, seed, 0)
    n_images = limit_images(loader, n_images)
    parts: List[List[Tensor]] = []
    count = 0
    for batch in feature_batches(model, loader, f'features, {key}', n_images):
        views = batch.view_feats if key == 'train_dataloader' else [batch.feats()]
        keys = [(seed, position) for position in batch.positions]
        if keys:
            count += len(keys)
            cells = (feats.permute(0, 2, 3, 1).flatten(1, 2) for feats in views)
            parts.append([sample_cells(of_view, n_cells // n_images, keys).flatten(0, 1) for of_view in cells])
    return [torch.cat(of_view) for of_view in zip(*parts)], count


def fresh_settings(cfg: Config) -> Tuple[Optional[int], dict]:
    """Number of clusters (None for that of the head) and further settings of the config's fresh k-means."""
    hook = cfg.get('default_hooks', {}).get('fresh_kmeans')
    if hook is None:
        return None, dict(DEFAULT_KMEANS)
    n_clusters = hook.get('n_clusters') or cfg.model.decode_head.get('n_clusters')
    return n_clusters, dict(hook.get('kmeans') or {})


def check_enough_cells(n_clusters: int, n_cells: int) -> None:
    """Raise ValueError if there are fewer cells than clusters."""
    if n_clusters > n_cells:
        raise ValueError(f'k={n_clusters} is more than the {n_cells} sampled cells: give a smaller k, or sample more '
                         '(--cells, --images)')


def fit_kmeans(rows: Tensor, n_clusters: int, settings: dict, seed: int) -> MiniBatchKMeans:
    """k-means on (N, C) rows."""
    check_enough_cells(n_clusters, len(rows))
    kmeans = MiniBatchKMeans(n_clusters, **settings)
    stream = StreamingKMeans([[kmeans]], n_images=1, init_images=1, update_images=1, seed=(seed, ), device=rows.device)
    stream.add([0], [rows.t()[None, :, :, None]])  # all rows as the cells of one image
    stream.finish()
    return kmeans
