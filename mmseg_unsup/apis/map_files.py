"""What is found in images, as files: ``maps/``, ``overlays/`` and ``predictions.json`` of a folder."""
import os.path as osp
from typing import Dict, List, Optional, Sequence

import numpy as np

from ..datasets.image_files import check_output, mark_output
from ..structures import ClusterNames
from ..utils.atomic import write_json
from ..utils.paths import printable
from ..datasets.pictures import map_name, write_indexed, write_picture
from ..visualization import overlay, with_legend

MAPS, OVERLAYS, RECORD = 'maps', 'overlays', 'predictions.json'


class MapFiles:
    """Draws and writes maps of classes.

    Args:
        names: of the classes, with their colours.
        background: cluster outside all objects, None for methods without; as an attribute its class.
    """

    def __init__(self, names: ClusterNames, background: Optional[int]) -> None:
        self.names, self.background = names, None if background is None else int(names.table[background])
        self._made = set()  # folders

    def shares(self, ids: np.ndarray) -> Dict[str, float]:
        """(H, W) classes -> name -> share of the pixels, of the classes that occur."""
        counts = np.bincount(ids.ravel(), minlength=len(self.names.names))
        return {name: float(count / counts.sum()) for name, count in zip(self.names.names, counts) if count}

    def draw(self, image: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB, (H, W) classes -> (H', W', 3): the image coloured by its classes, with their names."""
        shown = [c for c in np.unique(ids).tolist() if c != self.background]
        picture = overlay(image, ids, self.names.palette, self.background)
        return with_legend(picture, [self.names.names[c] for c in shown], self.names.palette[shown])

    def write(self, out: str, name: str, image: np.ndarray, ids: np.ndarray) -> str:
        """Write the map of an image named so below the folder of all images, a PNG whose values are the classes, below
        ``out/maps``, and the drawing below ``out/overlays``; returns the path below ``maps``."""
        path = map_name(name)
        if out not in self._made:
            for folder in (MAPS, OVERLAYS):
                mark_output(osp.join(out, folder))
            self._made.add(out)
        write_indexed(osp.join(out, MAPS, path), ids, self.names.palette)
        write_picture(osp.join(out, OVERLAYS, f'{path[:-4]}.jpg'), self.draw(image, ids), quality=90)
        return path

    def write_record(self, out: str, shares: Dict[str, Dict[str, float]], skipped: Sequence[str]) -> str:
        """Write ``out/predictions.json``, whose path is returned.

        Args:
            shares: :meth:`shares` by the name of the image.
            skipped: which images were left out, or why.
        """
        path = osp.join(out, RECORD)
        images = {printable(name): of_image for name, of_image in shares.items()}
        write_json(path, dict(classes=self.names.names, images=images, skipped=[*map(printable, skipped)]))
        return path


class MapFolder:
    """The maps of the images below a folder, written as they come.

    Args:
        out: what ``maps/``, ``overlays/`` and ``predictions.json`` go to.
        images: the folder, whose structure is kept.
        names, background: see :class:`MapFiles`.
    """

    def __init__(self, out: str, images: str, names: ClusterNames, background: Optional[int]) -> None:
        self.out, self.images = out, images
        self.files = MapFiles(names, background)
        self.shares: Dict[str, Dict[str, float]] = {}

    def add(self, path: str, image: np.ndarray, clusters: np.ndarray) -> None:
        """Write what was found in an image, (H, W, 3) uint8 RGB: (H, W) clusters."""
        name, ids = osp.relpath(path, self.images), self.files.names.table[clusters]
        self.files.write(self.out, name, image, ids)
        self.shares[name] = self.files.shares(ids)

    def finish(self, skipped: Sequence[str]) -> None:
        """Write the record; ``skipped`` are the images that were left out."""
        self.files.write_record(self.out, self.shares, skipped)


def check_map_folder(out: str, images: str) -> None:
    """Raise ValueError if maps or drawings would be written into the folder of the images, or below a file."""
    if osp.exists(out) and not osp.isdir(out):
        raise ValueError(f'{printable(out)}, the place of the maps, is a file: give a folder')
    for folder in (MAPS, OVERLAYS):
        check_output(osp.join(out, folder), images)


def check_names(names: List[str]) -> None:
    """Raise ValueError if images of these names would share a map."""
    of_map: Dict[str, str] = {}
    for name in names:
        other = of_map.setdefault(map_name(name), name)
        if other is not name:
            raise ValueError(f'two images would have the map {printable(map_name(name))}: give the folder that holds '
                             'both, which keeps its sub-folders, or write them to two folders')
