"""Finished maps as annotations of other programs."""
import json
import os.path as osp
from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from ..datasets.pictures import read_indexed
from ..formats.job import Job
from ..formats.table import check_formats
from ..formats.writing import write_formats
from ..presets import n_cores
from ..structures.cluster_names import check_color, check_name
from ..utils.locks import alone_with
from ..utils.paths import is_outside, printable
from ..utils.preemption import stop_alone_if_asked
from .folder_journal import stopping
from .journal_files import PROGRESS, read_made
from .map_files import RECORD, MapFiles

_LOCK = 'formats.lock'  # among what is in progress
_STOPPED = 'stopped; the same command writes these formats anew'


class MadeMaps(NamedTuple):
    """The finished maps of a folder that ``mmseg-unsup predict`` or ``segment`` wrote.

    Attributes:
        out: that folder.
        root: folder of the images.
        names: of the classes.
        palette: (C, 3) uint8 RGB.
        images: their names.
    """
    out: str
    root: str
    names: Sequence[str]
    palette: np.ndarray
    images: Sequence[str]

    @classmethod
    def of(cls, out: str) -> 'MadeMaps':
        """Those of a folder.

        Raises:
            FileNotFoundError: it has no ``predictions.json``, which is there when all maps are.
            ValueError: its record is none.
        """
        path = osp.join(out, RECORD)
        try:
            with open(path, encoding='utf-8') as file:
                images = {*json.load(file)['images']}
            settings, made = read_made(out)
            root, classes = settings['images'], settings['classes']
            names, palette = [of_class['name'] for of_class in classes], [of_class['color'] for of_class in classes]
            if any(is_outside(name, osp.curdir) for name in made):
                raise ValueError('the name of an image leads elsewhere')
            for name, color in zip(names, palette):
                check_name(name)
                check_color(name, tuple(color))
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(f'there are no finished maps in {printable(out)}, which would have {RECORD} and '
                                    'progress: give the folder that `mmseg-unsup predict` or `segment` wrote, or let '
                                    'them finish') from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ValueError(f'{printable(path)} or what is in progress beside it is damaged: give the command that '
                             'wrote it again') from None
        palette = np.array(palette, np.uint8).reshape(len(names), 3)
        return cls(out, root, names, palette, [name for name in made if printable(name) in images])

    def write(self, formats: Sequence[str], tolerance: float = 1., workers: Optional[int] = None) -> List[str]:
        """Write them as annotations beside the maps, one process at a time; see
        :func:`mmseg_unsup.formats.writing.write_formats`.

        Raises:
            FileNotFoundError: a map is gone.
            SystemExit: with status 75, SIGTERM or SIGUSR1 came.
        """
        check_formats(formats)
        self._check_files(formats)
        job = Job(self.out, self.names, self.palette, self.root, lambda name: MapFiles.paths(self.out, name)[1])
        with stopping(_STOPPED), alone_with(osp.join(self.out, PROGRESS, _LOCK), is_waiting=stop_alone_if_asked):
            return write_formats(formats, job, self.images, self._read, tolerance, workers or n_cores())

    def _check_files(self, formats: Sequence[str]) -> None:
        """What is missing is said before anything is written."""
        for name in self.images:
            for path in MapFiles.paths(self.out, name)[:1 + ('video' in formats)]:
                if not osp.exists(path):
                    raise FileNotFoundError(f'{printable(path)} is gone: give the command that wrote it again, which '
                                            'makes what is missing')

    def _read(self, name: str) -> np.ndarray:
        stop_alone_if_asked()
        return read_indexed(MapFiles.paths(self.out, name)[0])
