"""Masks for a folder of images: what MaskContrast takes for the objects."""
import itertools
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import os.path as osp
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..datasets.errors import LabelError, UndecodableLabelError, UnreadableImageError
from ..datasets.image_files import check_folder, check_output, find_images, mark_output
from ..datasets.pictures import read_rgb, write_picture
from ..datasets.transforms.masks import read_mask
from ..registry import PRIORS
from ..utils import keyed_generator, track_progress
from ..utils.atomic import remove_parts_below, write_json
from ..utils.console import say
from ..utils.distributed import after_all, on_first_rank
from ..utils.paths import path_remedy, printable
from ..utils.preemption import stop_alone_if_asked
from ..utils.read_ahead import read_ahead
from ..utils.same_files import two_of_one_file
from ..utils.shards import WHOLE, Shard
from ..visualization import cluster_palette, contact_sheet
from .folder_journal import Collected, Journal, check_same_work, check_settings, stopping
from .image_names import ImageNames
from .prior_configs import build_prior

RECORD, SHEET = 'priors.json', 'contact_sheet.jpg'
AREA_BINS = 10
MIN_KEPT = 0.6  # share of images
SHEET_ROWS, SHEET_COLUMNS = 4, 3
_CHUNK, _GRACE = 4, 1.  # masks that a worker is given at a time; seconds
Job = Tuple[str, str, str]  # path and name of an image, path of its mask


class Result(NamedTuple):
    """What was made of an image."""
    area: float = 0.  # share of foreground, 0 without a usable mask
    seconds: float = 0.  # CPU time
    error: str = ''  # why it is unreadable


def make_mask_folder(images: str, out: str, config: dict, workers: int = 1, on_error: str = 'raise',
                     seed: int = 0, shard: Shard = WHOLE) -> Optional[dict]:
    """Write a mask per image, 8 bits and one channel, a record and a contact sheet.

    The same call again makes what is missing; a mask that is there, and that no call has recorded, is read and kept.

    Args:
        out: ``a/b.jpg`` of the images has ``a/b.png`` here.
        config: of the prior, see :func:`mmseg_unsup.apis.prior_configs.prior_config`.
        workers: processes, one thread each.
        on_error: ``'skip'`` leaves out images that cannot be read, ``'raise'`` stops.
        seed: which images the contact sheet shows.
        shard: which of the images this process makes the masks of.

    Returns:
        the record, what ``out/priors.json`` holds; None where other shards are not finished.

    Raises:
        SystemExit: with status 75, SIGTERM or SIGUSR1 came.
        ValueError: two images would have one mask; the masks would be written over the images; the masks that are there
            have other settings; processes that were started together disagree.
        UnreadableImageError: an image cannot be used.
    """
    check_folder(images, path_remedy(images))
    check_output(out, images)
    names = ImageNames(find_images(images), images)
    check_stems(names)
    # built here too, so that a wrong option stops the tool before any worker starts
    settings = dict(images=osp.abspath(images), **build_prior(config).describe())
    check_same_work(names, settings)
    earlier = on_first_rank(lambda: begin_record(out, settings))
    start = time.perf_counter()
    with Journal(out, names, settings, lambda name: [target_of(name, out)], shard) as journal, stopping():
        journal.tell_made()
        n_made = make_masks(journal, out, config, workers, on_error)
    wall = round(time.perf_counter() - start, 3) if n_made else earlier.get('wall_s')
    return after_all(lambda: finish_record(journal, out, settings, wall, seed))


def begin_record(out: str, settings: dict) -> dict:
    """The record that is there, which must have these settings; else write one."""
    mark_output(out)
    path = osp.join(out, RECORD)
    if not osp.exists(path):
        write_json(path, dict(settings, complete=False))
    with open(path, encoding='utf-8') as file:
        earlier = json.load(file)
    check_settings(earlier, settings, path)
    return earlier


def finish_record(journal: Journal, out: str, settings: dict, wall: Optional[float], seed: int) -> Optional[dict]:
    """Write record and contact sheet if every image has its line, be it of another process; the record, or None."""
    found = journal.collect()
    if found.n_missing:
        return None
    if journal.n_calls > 1:  # processes that were killed have left parts of files
        remove_parts_below(out)
    areas = np.full(len(journal.names), np.nan)
    for i, line in enumerate(found):
        areas[i] = np.nan if line.fault else line.found['area']
    record = dict(make_record(settings, found, areas, wall), complete=True)
    write_json(osp.join(out, RECORD), record)
    write_sheet(journal.names, areas, out, seed)
    return record


def too_few(record: dict, out: str, min_kept: float = MIN_KEPT) -> str:
    """Why masks should not be trained on, or an empty text."""
    if record['kept_fraction'] >= min_kept:
        return ''
    return (f'only {record["kept_fraction"]:.0%} of the images have a usable mask, fewer than {min_kept:.0%}: look at '
            f'{osp.join(out, SHEET)} and try another prior (--prior region for scenes without one object)')


def target_of(name: str, out: str) -> str:
    """Path of the mask of an image."""
    return osp.join(out, f'{stem_of(name)}.png')


def stem_of(name: str) -> str:
    """The name of an image without suffix."""
    return osp.splitext(name)[0]


def check_stems(names: ImageNames) -> None:
    """Raise ValueError if two images would get one mask."""
    alike = two_of_one_file(names, stem_of)
    if alike:
        i, j = alike
        raise ValueError(f'{printable(names.paths[i])} and {printable(names.paths[j])} would get the same mask '
                         f'{printable(stem_of(names[i]))}.png: rename one')


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


def make_mask(path: str, name: str, target: str) -> Result:
    """Write the mask of an image."""
    start = time.process_time()
    try:
        image = read_rgb(path)
    except UnreadableImageError as error:
        return Result(error=str(error))
    mask = PRIOR(image, stem_of(name))
    write_picture(target, mask)
    return Result(float((mask > 0).mean()), time.process_time() - start)


def area_of(target: str) -> Optional[float]:
    """Share of foreground of a mask that is there; None if there is none, or one that is cut off."""
    if not osp.exists(target):
        return None
    try:
        return float((read_mask(target) > 0).mean())
    except UndecodableLabelError as error:
        say(f'{error}; it is made again', logging.WARNING)
        return None
    except LabelError as error:
        raise ValueError(f'{error}; remove the file and give the command again') from None


def make_masks(journal: Journal, out: str, config: dict, workers: int, on_error: str) -> int:
    """Make the masks that are missing; how many were made."""
    n_made = 0
    with track_progress('masks', journal.n_own - journal.n_made) as advance, \
            closing(run_jobs(jobs_of(journal, out, advance), config, workers)) as results:
        for (_, name, _), result in results:
            if result.error and on_error == 'raise':
                raise UnreadableImageError(f'{result.error}; with --on-error skip this tool leaves it out')
            if result.error:
                journal.add_fault(name, result.error)
            else:
                journal.add(name, dict(area=result.area, seconds=result.seconds))
            n_made += not result.error
            advance(1)
            stop_alone_if_asked()
    return n_made


def jobs_of(journal: Journal, out: str, advance: Callable[[int], None]) -> Iterator[Job]:
    """Path, name and mask of the images whose mask is missing; one that is there is recorded."""
    for i in journal.todo():
        name = journal.names[i]
        target = target_of(name, out)
        area = area_of(target)
        if area is None:
            yield journal.names.paths[i], name, target
        else:
            journal.add(name, dict(area=area, seconds=None))
            advance(1)


def run_jobs(jobs: Iterator[Job], config: dict, workers: int) -> Iterator[Tuple[Job, Result]]:
    """The jobs with their results, in order, from one process or from several."""
    first = list(itertools.islice(jobs, 2))
    jobs = itertools.chain(first, jobs)
    if workers <= 1 or len(first) < 2:
        yield from run_here(jobs, config)
        return
    context = multiprocessing.get_context('spawn')  # threads of torch do not survive a fork
    pool = ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(config, ))
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # of the workers: a process per core is faster

    def submit(chunk: List[Job]) -> Future:
        with without_main():  # workers are started here
            return pool.submit(make_chunk, chunk)

    chunks = iter(lambda: list(itertools.islice(jobs, _CHUNK)), [])
    try:
        for made in read_ahead(submit, chunks, 4 * workers):
            yield from made
    except BrokenProcessPool:
        time.sleep(_GRACE)  # a signal to the whole job ends the workers, perhaps before it comes here
        stop_alone_if_asked()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def make_chunk(jobs: List[Job]) -> List[Tuple[Job, Result]]:
    """Some jobs, with their results."""
    return [(job, make_mask(*job)) for job in jobs]


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


def run_here(jobs: Iterator[Job], config: dict) -> Iterator[Tuple[Job, Result]]:
    """Make the masks in this process, on one thread."""
    global PRIOR
    threads, PRIOR = (torch.get_num_threads(), cv2.getNumThreads()), PRIORS.build(config)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):  # numpy's
            yield from ((job, make_mask(*job)) for job in jobs)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def make_record(settings: dict, found: Collected, areas: np.ndarray, wall: Optional[float]) -> dict:
    """What priors.json holds, but for ``complete``.

    Args:
        areas: share of foreground of every image, 0 without a usable mask, NaN of those that are unreadable.
        wall: seconds of the last call that made masks.
    """
    usable = areas[areas > 0]
    seconds = [line.found['seconds'] for line in found if not line.fault and line.found['seconds'] is not None]
    counts, edges = np.histogram(usable, AREA_BINS, (0, 1))
    area = dict(mean=float(usable.mean()) if len(usable) else None, bin_edges=edges.round(3).tolist(),
                counts=counts.tolist())
    n_readable = len(areas) - int(np.isnan(areas).sum())
    return dict(
        settings, n_images=len(areas), kept=len(usable), kept_fraction=len(usable) / max(n_readable, 1),
        foreground_area=area, wall_s=wall, images_timed=len(seconds),
        cpu_ms_per_image=round(1000 * float(np.mean(seconds)), 1) if seconds else None,
        not_kept=[stem_of(found.names[i]) for i in np.flatnonzero(areas == 0)],
        unreadable={stem_of(line.image): line.fault for line in found if line.fault})


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W, 3) RGB, (H, W) mask -> the image, objects in colour and the rest grey and dark."""
    palette = np.vstack([[40, 40, 40], cluster_palette(255)]).astype(np.float32)
    grey = image.mean(2, keepdims=True).repeat(3, 2)
    pixels = np.where(mask[..., None] > 0, 0.5 * image, 0.5 * grey)
    return (pixels + 0.5 * palette[mask]).round().astype(np.uint8)


def write_sheet(names: ImageNames, areas: np.ndarray, out: str, seed: int) -> None:
    """Images beside their masks, a random sample in the order of the files."""
    readable = np.flatnonzero(~np.isnan(areas))
    n = min(len(readable), SHEET_ROWS * SHEET_COLUMNS)
    if not n:
        return
    pictures = []
    for i in sorted(keyed_generator(seed).choice(readable, n, replace=False)):
        image = read_rgb(names.paths[i])
        pictures += [image, overlay(image, read_mask(target_of(names[i], out)))]
    columns = min(SHEET_COLUMNS, n)
    blank = np.full((1, 1, 3), 255, np.uint8)
    pictures += [blank] * (-len(pictures) % (2 * columns))
    rows = [pictures[i:i + 2 * columns] for i in range(0, len(pictures), 2 * columns)]
    write_picture(osp.join(out, SHEET), contact_sheet(rows, ['image', 'mask'] * columns), flush=True)
