"""Frames of videos as folders of pictures."""
import logging
import os
import os.path as osp
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import cv2
import numpy as np

from ..datasets.errors import check_on_error
from ..datasets.image_files import IMAGE_SUFFIXES, MARK, mark_output
from ..datasets.pictures import write_picture
from ..formats.video import FRAMES, MAX_RATE, hush_ffmpeg
from ..utils.atomic import remove_parts, write_json
from ..utils.console import say
from ..utils.paths import check_utf8, path_remedy, printable
from ..utils.progress import track_progress
from .own_folder import own_folder, read_record

_UNFINISHED = '.unfinished'  # ends the name of a folder that is being filled
_USUAL_RATE = 25.  # of a video that does not say its own


class BrokenVideoError(ValueError):
    """A video that cannot be read, or breaks off."""


def extract_frames(videos: Sequence[str], out: str, every: int = 1, on_error: str = 'raise') -> Dict[str, int]:
    """Write frames of videos below ``out``, each video into a folder of its name, which is there when all of them are;
    the same call again goes on. ``frame_000120.jpg`` is the frame before which there are 120.

    Args:
        every: 2 for every second frame from the first one on, and so on.
        on_error: of a video that cannot be read or breaks off: ``'raise'``, or ``'skip'`` for the frames that it has,
            if it has any; the only one must have some.

    Returns:
        folder -> number of its frames.

    Raises:
        FileNotFoundError: there is no such file.
        BrokenVideoError: with ``'raise'``, the folders of the videos before it are there; of the only video.
        ValueError: two videos have one name; a folder holds something else.
    """
    check_on_error(on_error)
    hush_ffmpeg()
    found = {}
    for video, folder in _folders(videos, out).items():
        settings = dict(video=osp.basename(video), bytes=osp.getsize(video), every=every)
        try:
            found[folder] = _n_made(folder, settings) if osp.exists(folder) else _extract(
                video, folder, settings, on_error == 'skip')
        except BrokenVideoError as error:
            if on_error == 'raise' or len(videos) == 1:
                raise
            say(f'left out: {error}', logging.WARNING)
    return found


def _folders(videos: Sequence[str], out: str) -> Dict[str, str]:
    """Video -> its folder."""
    video_of: Dict[str, str] = {}
    for video in videos:
        _check_is_there(video)
        folder = osp.join(out, osp.splitext(osp.basename(video))[0])
        other = video_of.setdefault(folder, video)
        if other != video:
            raise ValueError(f'{printable(other)} and {printable(video)} would have the same folder: rename one of '
                             'them, or write them to two places')
    return {video: folder for folder, video in video_of.items()}


def _check_is_there(video: str) -> None:
    if osp.isdir(video):
        raise IsADirectoryError(f'{printable(video)} is a folder: give the videos in it, {printable(video)}/*.mp4')
    suffix = osp.splitext(video)[1]
    check_utf8(video, 'OpenCV')
    if suffix.lower() in IMAGE_SUFFIXES:  # FFmpeg takes its name for a pattern, of others
        raise ValueError(f'{printable(video)} is a picture and no video: give its folder to the other commands')
    if not osp.isfile(video):
        raise FileNotFoundError(f'there is no video {printable(video)}: '
                                + path_remedy(video, lambda other: other.endswith(suffix)))


def _n_made(folder: str, settings: Dict[str, Any]) -> int:
    """The number of frames in a finished folder of these settings."""
    path = osp.join(folder, FRAMES)
    record = read_record(path) if osp.exists(path) else {}
    if not settings.items() <= record.items():
        raise ValueError(f'{printable(folder)} holds something else than every {settings["every"]}. frame of this '
                         'video: write to another place, or remove that folder')
    return record['frames']


def _extract(video: str, folder: str, settings: Dict[str, Any], keep_broken: bool) -> int:
    """Write the frames of a video and, when all are there, let their folder have its name; their number."""
    frames, unfinished = _Frames(video), folder + _UNFINISHED
    own_folder(unfinished, FRAMES, settings)
    mark_output(unfinished)  # no other command takes it for a folder of images
    remove_parts(unfinished)
    n_written = 0
    for number, read in frames:
        if number % settings['every'] == 0:
            path = osp.join(unfinished, f'frame_{number:06d}.jpg')
            if not osp.exists(path):
                write_picture(path, read())
            n_written += 1
    frames.check_end(keep_broken)
    write_json(osp.join(unfinished, FRAMES), dict(settings, frames=n_written, rate=frames.rate))
    os.remove(osp.join(unfinished, MARK))
    os.replace(unfinished, folder)
    return n_written


class _Frames:
    """The frames of a video in their order: numbers, and what decodes them to (H, W, 3) uint8 RGB.

    Attributes:
        rate: frames a second.

    Raises:
        BrokenVideoError: it cannot be opened, or has no frame.
    """

    def __init__(self, video: str) -> None:
        self.video, self.n_seen = video, 0
        self._capture = cv2.VideoCapture(osp.abspath(video), cv2.CAP_FFMPEG)
        if not self._capture.grab():
            raise BrokenVideoError(f'{printable(video)} is no video that can be read, or is cut off: give the whole '
                                   'file, or convert it to MP4 (H.264)')
        rate, n_stated = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0 < rate <= MAX_RATE else _USUAL_RATE
        self.n_stated: Optional[int] = int(n_stated) if n_stated > 0 else None

    def __iter__(self) -> Iterator[Tuple[int, Any]]:
        is_there = True  # the first one
        with track_progress(printable(osp.basename(self.video)), self.n_stated or 0, 'frames') as advance:
            while is_there:
                yield self.n_seen, self._read
                self.n_seen += 1
                advance(1)
                is_there = self._capture.grab()

    def _read(self) -> np.ndarray:
        is_there, frame = self._capture.retrieve()
        if not is_there:
            raise BrokenVideoError(f'frame {self.n_seen} of {printable(self.video)} cannot be decoded: give another '
                                   'file, or convert it anew')
        return frame[..., ::-1]

    def check_end(self, keep_broken: bool) -> None:
        """Raise BrokenVideoError, or warn, if more than a second is missing; formats without an exact number of frames
        guess it by their duration."""
        if self.n_stated is None or self.n_stated - self.n_seen <= max(1, self.rate):
            return
        said = f'{printable(self.video)} breaks off after {self.n_seen} of {self.n_stated} frames'
        if not keep_broken:
            raise BrokenVideoError(f'{said}: give the whole file, or keep the frames that there are by --on-error skip')
        say(said, logging.WARNING)
