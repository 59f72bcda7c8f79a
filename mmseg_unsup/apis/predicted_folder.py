"""Maps of a folder of images: the work of ``mmseg-unsup predict``."""
import os.path as osp
from contextlib import closing
from typing import Callable, Optional, Sequence

import numpy as np

from ..formats.table import check_formats
from ..formats.writing import check_maps
from ..utils.distributed import after_all
from ..utils.preemption import stop_alone_if_asked
from ..utils.read_ahead import WriteBehind
from ..utils.shards import WHOLE, Shard
from .folder_journal import Totals, check_same_work, stopping
from .image_names import ImageNames
from .inferencer import UnsupInferencer
from .made_maps import MadeMaps
from .map_files import MapFolder, check_map_folder
from .time_mean import with_images_before

Known = Callable[[str, np.ndarray], np.ndarray]  # path of an image, its (H, W) classes -> what its map is to be


def predict_folder(inferencer: UnsupInferencer, images: ImageNames, out: str, batch_size: Optional[int] = None,
                   shard: Shard = WHOLE, replace: bool = False, formats: Sequence[str] = (),
                   tolerance: float = 1., known: Known = lambda path, ids: ids) -> Totals:
    """Write what is found in the images of a folder, or in one image, image by image; the same call again goes on where
    it was stopped. Of a model that says it (``scores_are_shares``), also how sure it is of an image: the score of the
    winner, on average over the pixels.

    Args:
        images: ``ImageNames.of(folder)``.
        out: what ``maps/``, ``overlays/``, ``predictions.json`` and ``progress/`` go to.
        batch_size: see :meth:`UnsupInferencer.stream`.
        shard: which of the images this process sees; the last one that is done writes ``predictions.json``. Means over
            time (``smooth`` of the inferencer) take one process.
        replace: maps of other settings are made anew, instead of raising an error; for one process.
        formats: also write the maps as annotations of :data:`mmseg_unsup.formats.table.FORMATS`, all of them when the
            last map is there.
        tolerance: of their polygons, see :func:`mmseg_unsup.formats.regions.trace_regions`.
        known: puts what is known of an image into its map; where that changes, so must the model.

    Returns:
        how far all shards have come.

    Raises:
        SystemExit: with status 75, SIGTERM or SIGUSR1 came.
        ImportError, ValueError: see :func:`mmseg_unsup.formats.table.check_formats` and
            :func:`mmseg_unsup.formats.writing.check_maps`.
        ValueError: other maps are there, see :class:`mmseg_unsup.apis.folder_journal.Journal`; processes that were
            started together disagree.
    """
    check_formats(formats)
    if inferencer.smooth > 1 and shard != WHOLE:
        raise ValueError(f'shard {shard} lacks the frames between its own, which a mean over {inferencer.smooth} of '
                         'them takes: predict the folder by one process, or one folder of frames by each')
    check_maps(formats, inferencer.names, images.root, images)
    for folder in {osp.dirname(path) for path in images.paths}:
        check_map_folder(out, folder)
    settings = inferencer.settings()
    check_same_work(images, settings)
    folder = MapFolder(out, images, inferencer.cluster_names, inferencer.model.background_cluster, settings, shard,
                       replace, inferencer.model.refine_settings)
    with folder, stopping():
        folder.journal.tell_made()
        _fill(folder, inferencer, batch_size, known)
    return after_all(lambda: _finish(folder, formats, tolerance, inferencer.workers))


def _finish(folder: MapFolder, formats: Sequence[str], tolerance: float, workers: int) -> Totals:
    totals = folder.finish()
    if formats and not totals.n_missing:
        MadeMaps.of(folder.out).write(formats, tolerance, workers)
    return totals


def _fill(folder: MapFolder, inferencer: UnsupInferencer, batch_size: Optional[int], known: Known) -> None:
    """Make the maps that are missing."""
    journal = folder.journal
    numbers, total = journal.todo(), journal.n_own - journal.n_made
    if inferencer.smooth > 1:
        numbers = [*with_images_before(numbers, folder.images, inferencer.smooth)]
        total = len(numbers)
    paths = (folder.images.paths[i] for i in numbers)
    predictions = inferencer.stream_entries(paths, total, batch_size, folder.skip)
    model = inferencer.model
    is_sure = model.clusters[model.predicted_sets[0]].scores_are_shares
    with closing(predictions), WriteBehind(inferencer.workers) as write:
        for prediction in predictions:
            if journal.has(folder.images.name_of(prediction.path)):  # it was made before, and is seen for a mean
                continue
            confidence = float(prediction.scores.mean(dtype=float)) if is_sure else None
            ids = known(prediction.path, prediction.ids)
            write(folder.add, prediction.path, prediction.image, ids, confidence)
            stop_alone_if_asked()
