"""Features of a data set, made once for all passes that would compute them again."""
import hashlib
import json
import os.path as osp
import time
from contextlib import suppress
from glob import escape, glob
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..datasets import ViewDataset
from ..datasets.feature_store import (HEAD, FeatureStore, Part, as_stored, differences, make_store, open_store, plain,
                                      sized)
from ..datasets.stored_loading import NotedViews
from ..datasets.transforms.formatting import stack_views
from ..utils.console import say
from ..utils.distributed import on_first_rank
from ..utils.paths import printable
from ..utils.preemption import protect_workers, stop_if_asked
from ..utils.progress import track_progress
from ..version import __version__
from .feature_pass import NonFiniteError
from .image_names import names_digest, sizes_digest

_STINT = 4  # parts that a process takes at a time
_PAUSE = 1.  # seconds between two looks at what other programs write
_SETTING = 'default_hooks.feature_cache'


class CacheSettings(NamedTuple):
    """Where features are stored, and which.

    Attributes:
        folder: of the stores, each in a folder below it.
        flips: also those of the images flipped left to right.
        fill: make what is missing; otherwise that is an error.
    """
    folder: str
    flips: bool = False
    fill: bool = True


def store_features(model: torch.nn.Module, loader: DataLoader, settings: CacheSettings, seed: int) -> None:
    """Let the data set of a loader give stored features in the place of its images; what is missing is made first, by
    all processes together. Collective.

    Args:
        model: unwrapped, with a frozen backbone.
        loader: of a :class:`mmseg_unsup.ViewDataset`.
        seed: of its views.

    Raises:
        ValueError: the features cannot be stored, see :func:`describe`; they are missing and may not be made; the disk
            has too little room.
        NonFiniteError: a feature is infinite or no number in float16.
        OSError: they cannot be written.
    """
    if loader.dataset.store is not None:
        return
    views = NotedViews(loader.dataset)
    folder = on_first_rank(lambda: _prepare(describe(model, views, settings.flips, seed), settings, views))
    store = open_store(folder)
    store.look_again()
    missing = on_first_rank(store.missing)
    with track_progress('feature cache', sum(part.end - part.start for part in missing)) as advance:
        while missing:
            _fill(model, loader, views, store, missing, seed, advance)
            missing = on_first_rank(store.missing)
    loader.dataset.read_from(store)


def repeats(dataset: Dataset) -> bool:
    """Whether an image of the training is seen alike in later epochs; one image is read."""
    if not isinstance(dataset, ViewDataset):
        return False
    if dataset.variants is not None:
        return True
    views = NotedViews(dataset)
    return not views.draws(views[0])


# what a store is of


def describe(model: torch.nn.Module, views: NotedViews, flips: bool, seed: int) -> Dict[str, Any]:
    """The head of a :class:`FeatureStore` of these features; one image is read.

    Raises:
        ValueError: the views of an image do not repeat.
    """
    dataset, sample = views.dataset, views[0]
    is_random = views.draws(sample)
    if is_random and dataset.variants is None:
        raise ValueError('the views of the images are drawn anew in every epoch, so their features cannot be stored: '
                         'let them repeat (dataset.variants=V, after V epochs), or leave out the transforms that draw')
    images = _images(model, [sample])
    outputs = [[(name, list(values.shape[1:])) for name, values in _outputs(model, view).items()] for view in images]
    return dict(
        format=2, n_images=len(dataset), n_variants=dataset.variants if is_random else 1, flips=flips, outputs=outputs,
        image_shapes=[list(view.shape[1:]) for view in images],
        key=_key(model, views) | dict(seed=seed if is_random else None))


def _key(model: torch.nn.Module, views: NotedViews) -> Dict[str, Any]:
    """Name -> value of all that features depend on."""
    backbone, preprocessor, dataset = model.backbone, model.data_preprocessor, views.dataset
    numbers = [getattr(preprocessor, name).flatten().tolist() for name in ('mean', 'std')
               if hasattr(preprocessor, name)]
    return dict(
        weights=backbone.fingerprint, network=backbone.network_config, out=backbone.out, pipeline=views.config,
        normalization=[*numbers, preprocessor._channel_conversion], images=names_digest(dataset),
        sizes_of_files=sizes_digest(dataset), precision=backbone.precision,
        products=torch.get_float32_matmul_precision(), version=__version__)


def _prepare(head: Dict[str, Any], settings: CacheSettings, views: NotedViews) -> str:
    """Begin the store, or find what is there of these images; its folder."""
    head = plain(head)
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()[:16]
    folder = osp.join(settings.folder, f'{head["key"]["weights"]}-{digest}')
    if not settings.fill and not osp.exists(osp.join(folder, HEAD)):
        nearest = _nearest(head, settings.folder)
        raise ValueError(f'{printable(settings.folder)} has no features of these images{nearest}: name another '
                         f'folder (feature_cache=DIR), or let them be made ({_SETTING}.fill=True)')
    store = make_store(folder, head)
    _leave_out_changed(store, settings, views)
    missing = store.missing()
    if missing and not settings.fill:
        raise ValueError(f'{printable(folder)} lacks {len(missing)} of its {len(store.parts)} parts: let them be made '
                         f'({_SETTING}.fill=True)')
    _say_size(store, len(missing), _nearest(head, settings.folder))
    store.check_space(missing)
    return folder


def _leave_out_changed(store: FeatureStore, settings: CacheSettings, views: NotedViews) -> None:
    """Let features of files that hold something else than when they were made be missing."""
    store.look_again()
    paths = ((idx, views.path_of(idx)) for idx in range(store.n_images))
    outdated = store.outdated((idx, path) for idx, path in paths if path)
    if outdated:
        change = f'{printable(min(outdated.values()))} has changed since its features were stored'
        if not settings.fill:
            raise ValueError(f'{change} in {printable(store.folder)}: let them be made anew ({_SETTING}.fill=True)')
        store.remove(outdated)
        store.look_again()
        say(f'feature cache: {change}, so {len(outdated)} of {len(store.parts)} parts are made anew')


def _say_size(store: FeatureStore, n_missing: int, nearest: str) -> None:
    there = 'all are there' if not n_missing else (
        f'{len(store.parts) - n_missing} of {len(store.parts)} parts are there' if n_missing < len(store.parts) else
        f'none are there yet{nearest}')
    say(f'feature cache: {store.n_images:,} images, {sized(store.nbytes)} in {printable(store.folder)}, {there}')


def _nearest(head: Dict[str, Any], folder: str) -> str:
    """What sets the features that are likest apart from those of a head; '' where there are none."""
    found = []
    for path in sorted(glob(osp.join(escape(folder), '*', HEAD))):
        with suppress(ValueError):
            found.append(differences(open_store(osp.dirname(path)).head, head))
    found = [texts for texts in found if texts]
    return f' (the nearest there differ in {"; ".join(min(found, key=len)[:2])})' if found else ''


# making it


def _fill(model: torch.nn.Module, loader: DataLoader, views: NotedViews, store: FeatureStore, missing: List[Part],
          seed: int, advance: Callable[[int], None]) -> None:
    """Make a few of the missing parts, each process its own; those that other programs are at work on are theirs."""
    rank, world_size = get_dist_info()
    missing = [part for part in missing if part.variant == missing[0].variant]  # workers read with one key
    shares = [missing[i::world_size][:_STINT] for i in range(world_size)]
    views.dataset.set_key(seed, missing[0].variant)
    n_batches = max(sum(len(_batches(part, loader)) for part in share) for share in shares)
    with store.claim(shares[rank]) as parts:
        made = _make(model, loader, views, store, parts)
        for _ in range(n_batches):  # on all ranks, for the safe point
            advance(world_size * next(made, 0))
            stop_if_asked()
    if len(parts) < len(shares[rank]):
        time.sleep(_PAUSE)


def _batches(part: Part, loader: DataLoader) -> List[range]:
    size = loader.batch_size or 1
    return [range(start, min(start + size, part.end)) for start in range(part.start, part.end, size)]


def _make(model: torch.nn.Module, loader: DataLoader, views: NotedViews, store: FeatureStore,
          parts: Sequence[Part]) -> Iterator[int]:
    """Write the parts; numbers of images, one batch after the other."""
    batches = [(part, batch) for part in parts for batch in _batches(part, loader)]
    reader = DataLoader(
        views, batch_sampler=[batch for _, batch in batches], num_workers=loader.num_workers, collate_fn=list,
        generator=torch.Generator(),  # for the seeds of workers; those of the run stay as they are
        multiprocessing_context=loader.multiprocessing_context)
    protect_workers(reader)
    for (part, batch), samples in zip(batches, reader):
        if batch.start == part.start:
            rows = np.zeros(part.end - part.start, store.dtype)
        _enter(rows[batch.start - part.start:batch.stop - part.start], store, model, samples)
        if batch.stop == part.end:
            store.write(part, rows)
        yield len(batch)


def _enter(rows: np.ndarray, store: FeatureStore, model: torch.nn.Module, samples: List[dict]) -> None:
    """Write the features of images into their rows."""
    rows['content'] = [sample['content'] for sample in samples]
    rows['is_readable'] = [not sample['data_samples'].replaced for sample in samples]
    rows['loaded_shape'], rows['ori_shape'] = zip(*(sample['shapes'] for sample in samples))
    for view, images in enumerate(_images(model, samples, store.head['image_shapes'])):
        for flipped in (False, True)[:1 + store.head['flips']]:
            for name, values in _outputs(model, images.flip(-1) if flipped else images).items():
                stored = as_stored(values)
                if not np.isfinite(stored).all():
                    paths = ', '.join(sample['data_samples'].img_path for sample in samples)
                    raise NonFiniteError(f'the output {name!r} of the frozen {type(model.backbone.network).__name__} '
                                         f'is not finite in float16 for {paths}: store another one (out)')
                rows[store.field(name, view, flipped)] = stored


def _images(model: torch.nn.Module, samples: List[dict], shapes: Optional[list] = None) -> List[Tensor]:
    """V batches (N, 3, H, W) of packed samples, normalised.

    Raises:
        ValueError: an image has not the shapes of the others.
    """
    shapes = shapes or [list(view.shape) for view in samples[0]['inputs']]
    for sample in samples:
        found = [list(view.shape) for view in sample['inputs']]
        if found != shapes:
            raise ValueError(f'a feature cache is of images of one size, but {sample["data_samples"].img_path} is seen '
                             f'as {found} and the others as {shapes}: set the protocol of ResizeForEvaluation to '
                             "'center_crop' or 'squash'")
    return model.data_preprocessor(stack_views(samples), True)['inputs']


def _outputs(model: torch.nn.Module, images: Tensor) -> Dict[Any, Tensor]:
    return model.backbone.outputs(images, model.backbone.out)
