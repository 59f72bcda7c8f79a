"""Write a mask per image: what MaskContrast takes for the objects.

    python tools/make_priors.py IMAGES OUT --prior rbd --workers 8

Every image below IMAGES gets OUT/<its path, .png>, 8 bits, one channel: 0 is background, 255 (of RegionPrior, the id of
the region) is an object; all zero says that the prior found no usable mask. OUT/priors.json is the record, and
OUT/contact_sheet.jpg shows some of the masks: look at it before training.

The same command given again goes on where it was stopped, after a check that the settings are those of the record. The
exit status is 1 if fewer than --min-kept of the images have a usable mask; the files are written all the same.
"""
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy, here and in the workers: a process per core is faster

import mmseg_unsup  # noqa: F401, E402, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse  # noqa: E402
import ast  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import os.path as osp  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402

from mmseg_unsup.datasets.errors import UnreadableImageError  # noqa: E402
from mmseg_unsup.datasets.image_files import find_images  # noqa: E402
from mmseg_unsup.registry import PRIORS  # noqa: E402
from mmseg_unsup.utils import keyed_generator, track_progress  # noqa: E402
from mmseg_unsup.utils.atomic import replacing  # noqa: E402
from mmseg_unsup.utils.distributed import flatten_config  # noqa: E402
from mmseg_unsup.utils.pictures import read_rgb, write_picture  # noqa: E402
from mmseg_unsup.visualization import cluster_palette, contact_sheet  # noqa: E402

SHORT_NAMES = dict(rbd='RBDPrior', spectral='SpectralPrior', region='RegionPrior', model='ModelPrior',
                   folder='FolderPrior')
RECORD, SHEET = 'priors.json', 'contact_sheet.jpg'
AREA_BINS = 10
SHEET_ROWS, SHEET_COLUMNS = 4, 3


class Result(NamedTuple):
    """What is known of an image.

    Attributes:
        area: share of foreground, 0 without a usable mask; None if the image is unreadable.
        seconds: CPU time; None if its mask was there before.
        error: why it is unreadable.
    """
    stem: str
    area: Optional[float]
    seconds: Optional[float] = None
    error: str = ''


def parse_options(texts: Sequence[str]) -> dict:
    """``KEY=VALUE`` texts -> dotted key -> Python value, or the text as it is, spaces included.

    Raises:
        ValueError: a text without '='.
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition('=')
        if not equals or not key:
            raise ValueError(f'--options {text!r} is not of the form KEY=VALUE')
        try:
            options[key] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            options[key] = value
    return options


def prior_config(name: str, options: Optional[dict]) -> dict:
    """Config of a prior by short name or registered type."""
    config = Config(dict(type=f'mmseg_unsup.{SHORT_NAMES[name]}' if name in SHORT_NAMES else name))
    config.merge_from_dict(options or {})  # which knows dotted keys
    return config.to_dict()


def stems_of(paths: List[str], root: str) -> List[str]:
    """Paths below the root without suffix.

    Raises:
        ValueError: two images would get one mask.
    """
    stems = [osp.splitext(osp.relpath(path, root))[0] for path in paths]
    seen: Dict[str, str] = {}
    for stem, path in zip(stems, paths):
        if stem in seen:
            raise ValueError(f'{seen[stem]} and {path} would get the same mask {stem}.png: rename one')
        seen[stem] = path
    return stems


def start_worker(config: dict) -> None:
    """Build the prior of this process, on one thread."""
    global PRIOR
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    PRIOR = PRIORS.build(config)


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
    mask = cv2.imread(target, cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise ValueError(f'{target} is there but is no mask of one channel: remove it and give the command again')
    return float((mask > 0).mean())


def make_masks(paths: Sequence[str], stems: Sequence[str], out: str, config: dict, workers: int,
               on_error: str) -> List[Result]:
    """Results of all images, in their order; those with a mask are not read again.

    Raises:
        UnreadableImageError: an image cannot be used, unless ``on_error`` is 'skip'.
    """
    targets = [osp.join(out, f'{stem}.png') for stem in stems]
    results = {stem: Result(stem, area_of(target)) for stem, target in zip(stems, targets) if osp.exists(target)}
    todo = [job for job in zip(paths, stems, targets) if job[1] not in results]
    if results:
        print(f'{len(results)} of {len(stems)} masks are there already')
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
        start_worker(config)
        yield from (make_mask(*job) for job in jobs)
        return
    context = multiprocessing.get_context('spawn')  # threads of torch do not survive a fork
    pool = ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(config, ))
    try:
        yield from pool.map(make_mask, *zip(*jobs), chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)


def check_record(record: dict, settings: dict, path: str) -> None:
    """Masks of one folder have one origin.

    Raises:
        ValueError: a setting differs from that of the masks which are there.
    """
    old, new = (dict(flatten_config({key: of.get(key) for key in settings})) for of in (record, settings))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise ValueError(f'{path} records masks with {key}={old.get(key)!r}, but this call has {new.get(key)!r}: '
                             'use another OUT, or remove that folder')


def make_record(settings: dict, results: Sequence[Result], wall: float, earlier: dict) -> dict:
    """What priors.json holds, but for ``complete``.

    Times are of the last call that made masks.
    """
    areas = np.array([result.area for result in results if result.area is not None])
    kept = areas[areas > 0]
    seconds = [result.seconds for result in results if result.seconds is not None]
    times = dict(wall_s=round(wall, 3), images_timed=len(seconds),
                 cpu_ms_per_image=round(1000 * float(np.mean(seconds)), 1)) if seconds else {
                     key: earlier.get(key) for key in ('wall_s', 'images_timed', 'cpu_ms_per_image')}
    counts, edges = np.histogram(kept, AREA_BINS, (0, 1))
    return dict(
        settings,
        n_images=len(results),
        kept=len(kept),
        kept_fraction=len(kept) / max(len(areas), 1),
        foreground_area=dict(
            mean=float(kept.mean()) if len(kept) else None, bin_edges=edges.round(3).tolist(), counts=counts.tolist()),
        **times,
        not_kept=[result.stem for result in results if result.area == 0],
        unreadable={result.stem: result.error for result in results if result.area is None})


def write_record(record: dict, path: str) -> None:
    with replacing(path) as part, open(part, 'w') as file:
        json.dump(record, file, indent=1)


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
    chosen = sorted(keyed_generator(seed).choice(readable, n, replace=False)) if n else []
    pictures = []
    for i in chosen:
        image = read_rgb(paths[i])
        mask = cv2.imread(osp.join(out, f'{results[i].stem}.png'), cv2.IMREAD_UNCHANGED)
        pictures += [image, overlay(image, mask)]
    columns = min(SHEET_COLUMNS, n)
    if not n:
        return
    blank = np.full((1, 1, 3), 255, np.uint8)
    pictures += [blank] * (-len(pictures) % (2 * columns))
    rows = [pictures[i:i + 2 * columns] for i in range(0, len(pictures), 2 * columns)]
    write_picture(osp.join(out, SHEET), contact_sheet(rows, ['image', 'mask'] * columns), flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', help='folder of images')
    parser.add_argument('out', help='folder of the masks')
    parser.add_argument('--prior', default='rbd', help=f'one of {", ".join(SHORT_NAMES)}, or a registered type')
    parser.add_argument('--options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='options of the prior, such as max_side=400 n_superpixels=200,300 backbone.depth=18')
    parser.add_argument('--workers', type=int, default=1, help='processes, one thread each')
    parser.add_argument('--on-error', choices=('raise', 'skip'), default='raise', help='of an image that is unreadable')
    parser.add_argument('--min-kept', type=float, default=0.6, help='share of images that must keep a mask')
    parser.add_argument('--seed', type=int, default=0, help='which images the contact sheet shows')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    paths = find_images(args.images)
    stems = stems_of(paths, args.images)
    config = prior_config(args.prior, parse_options(args.options))
    # built here too, so that a wrong option stops the tool before any worker starts
    settings = dict(images=osp.abspath(args.images), **PRIORS.build(config).describe())
    os.makedirs(args.out, exist_ok=True)
    path, earlier = osp.join(args.out, RECORD), {}
    if osp.exists(path):
        with open(path) as file:
            earlier = json.load(file)
        check_record(earlier, settings, path)
    else:
        write_record(dict(settings, complete=False), path)
    start = time.perf_counter()
    results = make_masks(paths, stems, args.out, config, args.workers, args.on_error)
    record = dict(make_record(settings, results, time.perf_counter() - start, earlier), complete=True)
    write_record(record, path)
    write_sheet(paths, results, args.out, args.seed)
    print(f'{record["kept"]} of {record["n_images"]} images have a usable mask, {len(record["unreadable"])} are '
          f'unreadable; {path}, {osp.join(args.out, SHEET)}')
    if record['kept_fraction'] < args.min_kept:
        print(f'only {record["kept_fraction"]:.0%} of the images have a usable mask, fewer than --min-kept '
              f'{args.min_kept:.0%}: look at {osp.join(args.out, SHEET)} and try another prior (--prior region for '
              'scenes without one object), or lower --min-kept', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
