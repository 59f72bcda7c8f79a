"""Videos of frames that are coloured by their maps, at the speed of the video that the frames are of."""
import json
import os
import os.path as osp
from contextlib import ExitStack, contextmanager
from typing import Callable, Iterator, Sequence

import cv2
import numpy as np

from ..datasets.image_files import mark_output
from ..datasets.pictures import read_rgb
from ..utils.atomic import replacing
from ..utils.paths import check_utf8, printable
from ..visualization import with_legend
from .job import Add, Drawn, Job
from .parsing import files_below

FRAMES = 'frames.json'  # in a folder of frames: what they are of
MAX_RATE = 1000  # frames a second; what states more does not know it
_SUFFIX, _CODEC = '.mp4', 'mp4v'  # what every OpenCV with FFmpeg writes; it tells the format by the suffix
_UNFINISHED = f'.part{_SUFFIX}'
_QUIET = '-8'  # of FFmpeg's levels


def hush_ffmpeg() -> None:
    """FFmpeg prints what it finds in files that are damaged, unless the environment says what it prints."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', _QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def rate_of(folder: str) -> float:
    """Frames a second of a folder of frames; ValueError if it is none."""
    try:
        with open(osp.join(folder, FRAMES), encoding='utf-8') as file:
            record = json.load(file)
        rate = record['rate'] / record['every']
        if 0 < rate <= MAX_RATE:
            return rate
        raise ValueError
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        raise ValueError(f'the format video needs frames as mmseg-unsup frames writes them, but {printable(folder)} '
                         f'has no {FRAMES} of its own, or a damaged one: choose another format, or make the frames '
                         'anew') from None


def check(root: str, images: Sequence[str]) -> None:
    """Raise ValueError unless images below ``root`` are frames."""
    for folder in {osp.dirname(image) for image in images}:
        check_utf8(folder, 'OpenCV')
        rate_of(osp.join(root, folder))


@contextmanager
def writing(job: Job) -> Iterator[Add]:
    """Below ``videos`` an MP4 for every folder of frames, with a legend of all classes."""
    folder = osp.join(job.out, 'videos')
    mark_output(folder)
    for path in files_below(folder, _UNFINISHED):
        os.remove(path)
    of_folder, add_frame = None, None
    with ExitStack() as stack:
        def add(drawn: Drawn) -> None:
            nonlocal of_folder, add_frame
            frames = osp.join(job.root, osp.dirname(drawn.name))
            if frames != of_folder:
                stack.close()  # what is of the folder before is whole
                name = osp.dirname(drawn.name) or osp.basename(osp.realpath(job.root))
                add_frame = stack.enter_context(new_video(osp.join(folder, name + _SUFFIX), rate_of(frames)))
                of_folder = frames
            add_frame(_picture(drawn, job))

        yield add


def _picture(drawn: Drawn, job: Job) -> np.ndarray:
    """(H', W', 3) uint8 RGB, of one size for all frames of a video."""
    height, width = drawn.ids.shape
    overlay = read_rgb(job.drawing_of(drawn.name))[:height, :width]  # without its legend, of those that it shows
    return with_legend(overlay, job.names, job.palette)


@contextmanager
def new_video(path: str, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    """An MP4 that is there when the block ends; yields what adds a (H, W, 3) uint8 RGB frame, the first of which says
    how large all are. A side that is odd gets a line of white.

    Args:
        rate: frames a second.

    Raises:
        OSError: OpenCV has no FFmpeg, or the file cannot be written, as on a full disk.
        ValueError: its name is no UTF-8.
    """
    check_utf8(path, 'OpenCV')
    hush_ffmpeg()
    writer, n_frames = cv2.VideoWriter(), 0

    def add(frame: np.ndarray) -> None:
        nonlocal n_frames
        even = cv2.copyMakeBorder(frame[..., ::-1], 0, frame.shape[0] % 2, 0, frame.shape[1] % 2, cv2.BORDER_CONSTANT,
                                  value=(255, 255, 255))
        if not n_frames and not writer.open(unfinished, cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*_CODEC), rate,
                                            even.shape[1::-1]):
            raise OSError(f'{printable(path)} cannot be written: look whether there is space, and whether OpenCV has '
                          'FFmpeg (pip install opencv-python), or choose another format')
        writer.write(even)
        n_frames += 1

    os.makedirs(osp.dirname(path), exist_ok=True)
    with replacing(path) as part:
        unfinished = part + _SUFFIX
        try:
            yield add
            writer.release()
            written = cv2.VideoCapture(unfinished, cv2.CAP_FFMPEG)
            if written.get(cv2.CAP_PROP_FRAME_COUNT) != n_frames:  # OpenCV tells no errors
                raise OSError(f'{printable(path)} cannot be written whole: free space there, or write elsewhere')
            os.replace(unfinished, part)
        finally:
            writer.release()
            if osp.exists(unfinished):
                os.remove(unfinished)
