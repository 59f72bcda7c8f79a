"""What is asked of :func:`mmseg_unsup.learn_folder`: whether it can be."""
import os
import os.path as osp
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Union

import torch

from ..utils.checks import check_count
from ..utils.paths import printable
from .folder_request import FolderRequest
from .journal_files import read_made
from .map_files import MAPS, OVERLAYS
from .model_files import HUB, download_model, find_model

LABELS, TRAIN = 'labels', 'train'  # folders below that of results, beside maps and overlays
LEARNED = 'learned'  # folder of results below the folder of the model
ROUNDS = 10  # of the training, so many checkpoints and lines
# steps for each labelled image, and their bounds on a CPU and on a GPU
_PER_IMAGE, _LEAST, _MOST, _MOST_ON_GPU = 20, 200, 400, 8000
# pixels of the shorter side that a network which trains sees, on a CPU, where 240 give more than twice the steps of 160
# do, and on a GPU
_SIZE, _SIZE_ON_GPU = 240, 320


@dataclass(kw_only=True)
class LearnRequest(FolderRequest):
    """The arguments of :func:`mmseg_unsup.learn_folder`, each checked on its own; what is None follows from the model.

    Attributes:
        checkpoint (str): of the model.
    """
    pictures = (LABELS, MAPS, OVERLAYS)
    free = ('out', 'labels', 'classes', 'only', 'steps')

    images: Optional[str] = None
    out: Optional[str] = None
    model: str
    labels: Union[str, Sequence[str]]
    classes: Optional[Sequence[str]] = None
    only: Optional[Sequence[str]] = None
    steps: Optional[int] = None
    size: Optional[int] = None

    def __post_init__(self) -> None:
        for name in ('steps', 'size'):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        self.model = self._found_model(os.fspath(self.model))
        self.checkpoint = osp.abspath(find_model(self.model))
        self.images = self._recorded_images() if self.images is None else self.images
        self.out = self._default_out() if self.out is None else self.out
        super().__post_init__()
        given = [self.labels] if isinstance(self.labels, (str, os.PathLike)) else self.labels
        self.labels: List[str] = [osp.expanduser(os.fspath(path)) for path in given]
        if osp.dirname(self.checkpoint) in (osp.abspath(self.out), osp.abspath(self.path(TRAIN))):
            raise ValueError(f'--out {printable(self.out)} is the folder of the model, which would be lost: give '
                             'another')

    def _found_model(self, model: str) -> str:
        if not model.startswith(HUB):
            return osp.expanduser(model)
        if self.out is None:
            raise ValueError(f'{model} is no folder of this machine: give one for the results (--out OUT)')
        return download_model(model)

    def _recorded_images(self) -> str:
        """Folder of the images that the model made maps of."""
        try:
            return read_made(self.model)[0]['images']
        except (OSError, ValueError, KeyError):
            raise ValueError(f'{printable(self.model)} has no maps that would say of which images they are: give the '
                             'folder of the images after it') from None

    def _default_out(self) -> str:
        if not osp.isdir(self.model):
            raise ValueError(f'{printable(self.model)} is a file: give a folder for the results (--out OUT)')
        return osp.join(self.model, LEARNED)

    def n_steps(self, n_labelled: int) -> int:
        """Of the training by so many images: as asked, else so many for each between two bounds; whole rounds."""
        most = _MOST_ON_GPU if torch.cuda.is_available() else _MOST
        steps = min(max(_LEAST, _PER_IMAGE * n_labelled), most) if self.steps is None else self.steps
        return -(-steps // ROUNDS) * ROUNDS

    def n_pixels(self, of_model: int, trains: bool) -> int:
        """Of the shorter side that the network sees: as asked, else so many for one that trains, else its own."""
        usual = _SIZE_ON_GPU if torch.cuda.is_available() else _SIZE
        return self.size or (usual if trains else of_model)

    def resolved(self) -> Dict[str, Any]:
        """See :class:`FolderRequest`."""
        return dict(super().resolved(), model=osp.abspath(self.model))
