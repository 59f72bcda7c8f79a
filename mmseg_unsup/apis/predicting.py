"""Maps of all images of a folder by a trained model."""
import os.path as osp
import time

from ..utils.console import counted
from .inferencer import UnsupInferencer
from .map_files import MAPS, OVERLAYS


def predict_folder(inferencer: UnsupInferencer, images: str, out: str, batch_size: int = 1) -> str:
    """Write what is found in the images of a folder, or in one image, image by image.

    Args:
        out: what ``maps/``, ``overlays/`` and ``predictions.json`` go to.
        batch_size: images of one size, or tiles, at a time.

    Returns:
        a line that says what was done.

    Raises:
        ValueError: a map would take the place of an image or of another map; see :meth:`UnsupInferencer.stream`.
    """
    start, shares = time.perf_counter(), {}
    root = images if osp.isdir(images) else osp.dirname(images) or '.'
    inferencer.check_output(images, out, root)
    for prediction in inferencer.stream(images, batch_size):
        inferencer.save(prediction, out, root)
        shares[osp.relpath(prediction.path, root)] = inferencer.shares(prediction)
    record = inferencer.save_record(out, shares)
    files = ', '.join([osp.join(out, MAPS), osp.join(out, OVERLAYS), record])
    facts = [counted(len(shares), 'image'), f'{len(inferencer.names)} classes',
             *([f'{len(inferencer.skipped)} skipped'] if inferencer.skipped else []),
             f'{time.perf_counter() - start:.1f} s']
    return f'{", ".join(facts)}: {files}'
