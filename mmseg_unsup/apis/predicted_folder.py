"""Maps of a folder of images: the work of ``mmseg-unsup predict``."""
import os.path as osp
import time
from contextlib import closing
from typing import Optional

from ..utils.console import counted
from ..utils.distributed import after_all
from ..utils.preemption import stop_alone_if_asked
from ..utils.read_ahead import WriteBehind
from ..utils.shards import WHOLE, Shard
from .folder_journal import ImageNames, check_same_work, stopping
from .inferencer import UnsupInferencer
from .map_files import MAPS, OVERLAYS, RECORD, MapFolder, check_map_folder


def predict_folder(inferencer: UnsupInferencer, images: ImageNames, out: str, batch_size: Optional[int] = None,
                   shard: Shard = WHOLE) -> str:
    """Write what is found in the images of a folder, or in one image, image by image; the same call again goes on where
    it was stopped.

    Args:
        images: ``ImageNames.of(folder)``.
        out: what ``maps/``, ``overlays/``, ``predictions.json`` and ``progress/`` go to.
        batch_size: see :meth:`UnsupInferencer.stream`.
        shard: which of the images this process sees; the last one that is done writes ``predictions.json``.

    Returns:
        a line that says what was done.

    Raises:
        SystemExit: with status 75, SIGTERM or SIGUSR1 came.
        ValueError: other maps are there, see :class:`mmseg_unsup.apis.folder_journal.Journal`; processes that were
            started together disagree.
    """
    start = time.perf_counter()
    for folder in {osp.dirname(path) for path in images.paths}:
        check_map_folder(out, folder)
    settings = inferencer.settings()
    check_same_work(images, settings)
    folder = MapFolder(out, images, inferencer.cluster_names, inferencer.model.background_cluster, settings, shard)
    with folder, stopping():
        folder.journal.tell_made()
        _fill(folder, inferencer, batch_size)
    found = after_all(folder.finish)
    files = [osp.join(out, MAPS), osp.join(out, OVERLAYS), osp.join(out, RECORD)]
    facts = [counted(found.n_found, 'image'), f'{len(inferencer.names)} classes',
             *([f'{found.n_faults} skipped'] if found.n_faults else []),
             *([f'{found.n_missing} are not made yet, by other shards'] if found.n_missing else []),
             f'{time.perf_counter() - start:.1f} s']
    return f'{", ".join(facts)}: {", ".join(files[:2] if found.n_missing else files)}'


def _fill(folder: MapFolder, inferencer: UnsupInferencer, batch_size: Optional[int]) -> None:
    """Make the maps that are missing."""
    journal = folder.journal
    paths = (folder.images.paths[i] for i in journal.todo())
    predictions = inferencer.stream_entries(paths, journal.n_own - journal.n_made, batch_size, folder.skip)
    with closing(predictions), WriteBehind(inferencer.workers) as write:
        for prediction in predictions:
            write(folder.add, prediction.path, prediction.image, prediction.ids)
            stop_alone_if_asked()
