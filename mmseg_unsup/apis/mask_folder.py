"""Masks for a folder of images: what MaskContrast takes for the objects."""
import json
import multiprocessing
import multiprocessing.connection
import os
import os.path as osp
import re
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np
import torch
from mmengine.config import Config
from threadpoolctl import threadpool_limits

from ..datasets.errors import LabelError, UnreadableImageError
from ..datasets.image_files import check_folder, check_output, find_images, mark_output
from ..datasets.transforms.masks import read_mask
from ..priors import Prior
from ..registry import PRIORS
from ..utils import keyed_generator, track_progress
from ..utils.atomic import write_json
from ..utils.checks import check_choice
from ..utils.config_keys import flatten_config
from ..utils.console import say
from ..utils.paths import path_remedy, printable
from ..datasets.pictures import read_rgb, write_picture
from ..visualization import cluster_palette, contact_sheet

SHORT_NAMES = dict(rbd='RBDPrior', spectral='SpectralPrior', region='RegionPrior', model='ModelPrior',
                   folder='FolderPrior')
RECORD, SHEET = 'priors.json', 'contact_sheet.jpg'
AREA_BINS = 10
MIN_KEPT = 0.6  # share of images
SHEET_ROWS, SHEET_COLUMNS = 4, 3


class Result(NamedTuple):
    """What is known of an image."""
    stem: str
    area: Optional[float]  # share of foreground, 0 without a usable mask; None if the image is unreadable
    seconds: Optional[float] = None  # CPU time; None if its mask was there before
    error: str = ''  # why it is unreadable


def make_mask_folder(images: str, out: str, config: dict, workers: int = 1, on_error: str = 'raise',
                     seed: int = 0) -> dict:
    """Write a mask per image, 8 bits and one channel, a record and a contact sheet.

    The same call again makes what is missing.

    Args:
        out: ``a/b.jpg`` of the images has ``a/b.png`` here.
        config: of the prior, see :func:`prior_config`.
        workers: processes, one thread each.
        on_error: ``'skip'`` leaves out images that cannot be read, ``'raise'`` stops.
        seed: which images the contact sheet shows.

    Returns:
        the record, what ``out/priors.json`` holds.

    Raises:
        ValueError: two images would have one mask; the masks would be written over the images; the masks that are there
            have other settings.
        UnreadableImageError: an image cannot be used.
    """
    check_folder(images, path_remedy(images))
    check_output(out, images)
    paths = find_images(images)
    stems = stems_of(paths, images)
    # built here too, so that a wrong option stops the tool before any worker starts
    settings = dict(images=osp.abspath(images), **build_prior(config).describe())
    mark_output(out)
    path, earlier = osp.join(out, RECORD), {}
    if osp.exists(path):
        with open(path, encoding='utf-8') as file:
            earlier = json.load(file)
        check_record(earlier, settings, path)
    else:
        write_json(path, dict(settings, complete=False))
    start = time.perf_counter()
    results = make_masks(paths, stems, out, config, workers, on_error)
    record = dict(make_record(settings, results, time.perf_counter() - start, earlier), complete=True)
    write_json(path, record)
    write_sheet(paths, results, out, seed)
    return record


def too_few(record: dict, out: str, min_kept: float = MIN_KEPT) -> str:
    """Why masks should not be trained on, or an empty text."""
    if record['kept_fraction'] >= min_kept:
        return ''
    return (f'only {record["kept_fraction"]:.0%} of the images have a usable mask, fewer than {min_kept:.0%}: look at '
            f'{osp.join(out, SHEET)} and try another prior (--prior region for scenes without one object)')


def prior_config(name: str, options: Optional[dict] = None) -> dict:
    """Config of a prior by short name or registered type, with dotted options; ValueError if there is no such prior."""
    if name not in SHORT_NAMES and PRIORS.get(name) is None:
        check_choice('prior', name, SHORT_NAMES, ', or a registered type')
    kind = SHORT_NAMES.get(name, name)
    config = Config(dict(type=kind if '.' in kind else f'mmseg_unsup.{kind}'))
    config.merge_from_dict(options or {})  # which knows dotted keys
    return config.to_dict()


def build_prior(config: dict) -> Prior:
    """The prior of a config; ValueError if it lacks an option, or has one that cannot be."""
    try:
        return PRIORS.build(config)
    except TypeError as error:
        names = ', '.join(re.findall(r"'(\w+)'", str(error)))
        fault = f'needs {names}' if 'missing' in str(error) else f'has no option {names}'
        fault = fault if '__init__()' in str(error) else f'cannot be made of these options: {error}'
        raise ValueError(f'the prior {config["type"]} {fault}: give its options by mmseg-unsup priors --options '
                         'KEY=VALUE') from error


def stems_of(paths: Sequence[str], root: str) -> List[str]:
    """Paths below the root without suffix; ValueError if two images would get one mask."""
    path_of: Dict[str, str] = {}
    for path in paths:
        stem = osp.splitext(osp.relpath(path, root))[0]
        if path_of.setdefault(stem, path) is not path:
            raise ValueError(f'{printable(path_of[stem])} and {printable(path)} would get the same mask '
                             f'{printable(stem)}.png: rename one')
    return [*path_of]


def start_worker(config: dict) -> None:
    """Build the prior of a process of its own, on one thread."""
    global PRIOR
    end_with_parent()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    PRIOR = PRIORS.build(config)


def end_with_parent() -> None:
    """End this process when the one that started it ends, even by a signal that it cannot handle."""
    sentinel = multiprocessing.parent_process().sentinel

    def wait():
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def make_mask(path: str, stem: str, target: str) -> Result:
    """Write the mask of an image."""
    start = time.process_time()
    try:
        image = read_rgb(path)
    except UnreadableImageError as error:
        return Result(stem, None, error=str(error))
    mask = PRIOR(image, stem)
    write_picture(target, mask)
    return Result(stem, float((mask > 0).mean()), time.process_time() - start)


def area_of(target: str) -> float:
    """Share of foreground of a mask that is there."""
    try:
        return float((read_mask(target) > 0).mean())
    except LabelError as error:
        raise ValueError(f'{error}; remove the file and give the command again') from None


def make_masks(paths: Sequence[str], stems: Sequence[str], out: str, config: dict, workers: int,
               on_error: str) -> List[Result]:
    """Results of all images, in their order; those with a mask are not read again."""
    targets = [osp.join(out, f'{stem}.png') for stem in stems]
    results = {stem: Result(stem, area_of(target)) for stem, target in zip(stems, targets) if osp.exists(target)}
    todo = [job for job in zip(paths, stems, targets) if job[1] not in results]
    if results:
        say(f'{len(results)} of {len(stems)} masks are there already')
    with track_progress('masks', len(todo)) as advance:
        for result in run_jobs(todo, config, workers):
            if result.error and on_error == 'raise':
                raise UnreadableImageError(f'{result.error}; with --on-error skip this tool leaves it out')
            results[result.stem] = result
            advance(1)
    return [results[stem] for stem in stems]


def run_jobs(jobs: Sequence[tuple], config: dict, workers: int) -> Iterable[Result]:
    """Results in the order of the jobs, from one process or from several."""
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from run_here(jobs, config)
        return
    context = multiprocessing.get_context('spawn')  # threads of torch do not survive a fork
    pool = ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(config, ))
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # of the workers: a process per core is faster
    try:
        with without_main():  # all workers are started here
            results = pool.map(make_mask, *zip(*jobs), chunksize=4)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def without_main() -> Iterator[None]:
    """Processes that are spawned in the block do not run the script of this one anew, as multiprocessing makes them: a
    script may call this without ``if __name__ == '__main__'``."""
    main = sys.modules['__main__']
    before = {name: getattr(main, name) for name in ('__file__', '__spec__') if hasattr(main, name)}
    vars(main).update(dict.fromkeys(before))
    try:
        yield
    finally:
        vars(main).update(before)


def run_here(jobs: Sequence[tuple], config: dict) -> Iterable[Result]:
    """Make the masks in this process, on one thread."""
    global PRIOR
    threads, PRIOR = (torch.get_num_threads(), cv2.getNumThreads()), PRIORS.build(config)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):  # numpy's
            yield from (make_mask(*job) for job in jobs)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def check_record(record: dict, settings: dict, path: str) -> None:
    """Raise ValueError if a setting differs from that of the masks which are there."""
    old, new = (dict(flatten_config({key: of.get(key) for key in settings})) for of in (record, settings))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise ValueError(f'{path} records masks with {key}={old.get(key)!r}, but this call has {new.get(key)!r}: '
                             'use another OUT, or remove that folder')


def make_record(settings: dict, results: Sequence[Result], wall: float, earlier: dict) -> dict:
    """What priors.json holds, but for ``complete``; times are of the last call that made masks."""
    areas = np.array([result.area for result in results if result.area is not None])
    kept = areas[areas > 0]
    seconds = [result.seconds for result in results if result.seconds is not None]
    times = {key: earlier.get(key) for key in ('wall_s', 'images_timed', 'cpu_ms_per_image')}
    if seconds:
        times.update(wall_s=round(wall, 3), images_timed=len(seconds),
                     cpu_ms_per_image=round(1000 * float(np.mean(seconds)), 1))
    counts, edges = np.histogram(kept, AREA_BINS, (0, 1))
    area = dict(mean=float(kept.mean()) if len(kept) else None, bin_edges=edges.round(3).tolist(),
                counts=counts.tolist())
    return dict(
        settings, n_images=len(results), kept=len(kept), kept_fraction=len(kept) / max(len(areas), 1),
        foreground_area=area, **times,
        not_kept=[result.stem for result in results if result.area == 0],
        unreadable={result.stem: result.error for result in results if result.area is None})


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W, 3) RGB, (H, W) mask -> the image, objects in colour and the rest grey and dark."""
    palette = np.vstack([[40, 40, 40], cluster_palette(255)]).astype(np.float32)
    grey = image.mean(2, keepdims=True).repeat(3, 2)
    pixels = np.where(mask[..., None] > 0, 0.5 * image, 0.5 * grey)
    return (pixels + 0.5 * palette[mask]).round().astype(np.uint8)


def write_sheet(paths: Sequence[str], results: Sequence[Result], out: str, seed: int) -> None:
    """Images beside their masks, a random sample in the order of the files."""
    readable = [i for i, result in enumerate(results) if result.area is not None]
    n = min(len(readable), SHEET_ROWS * SHEET_COLUMNS)
    if not n:
        return
    pictures = []
    for i in sorted(keyed_generator(seed).choice(readable, n, replace=False)):
        image = read_rgb(paths[i])
        pictures += [image, overlay(image, read_mask(osp.join(out, f'{results[i].stem}.png')))]
    columns = min(SHEET_COLUMNS, n)
    blank = np.full((1, 1, 3), 255, np.uint8)
    pictures += [blank] * (-len(pictures) % (2 * columns))
    rows = [pictures[i:i + 2 * columns] for i in range(0, len(pictures), 2 * columns)]
    write_picture(osp.join(out, SHEET), contact_sheet(rows, ['image', 'mask'] * columns), flush=True)
