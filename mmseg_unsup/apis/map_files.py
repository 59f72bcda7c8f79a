"""What is found in images, as files: ``maps/``, ``overlays/`` and ``predictions.json`` of a folder."""
import json
import os.path as osp
from typing import Any, Dict, Iterable, List, Optional, Sequence, TextIO, Tuple

import numpy as np
import torch

from ..datasets.image_files import check_output, mark_output
from ..datasets.pictures import map_name, write_indexed, write_picture
from ..functional import fingerprint
from ..structures import ClusterNames
from ..utils.atomic import remove_parts_below, replacing
from ..utils.paths import printable
from ..utils.same_files import two_of_one_file
from ..utils.shards import WHOLE, Shard
from ..visualization import overlay, with_legend
from .folder_journal import Journal, Totals
from .image_names import ImageNames

MAPS, OVERLAYS, RECORD = 'maps', 'overlays', 'predictions.json'


class MapFiles:
    """Draws and writes maps of classes.

    Args:
        names: of the classes, with their colours.
        background: cluster outside all objects, None for methods without; as an attribute its class.
        refine: settings of the CRF that refines the maps, for the record; None for none.
    """

    def __init__(self, names: ClusterNames, background: Optional[int], refine: Optional[dict] = None) -> None:
        self.refine = refine
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
        of_map, of_drawing = self.paths(out, name)
        if out not in self._made:
            for folder in (MAPS, OVERLAYS):
                mark_output(osp.join(out, folder))
            self._made.add(out)
        write_indexed(of_map, ids, self.names.palette)
        write_picture(of_drawing, self.draw(image, ids), quality=90)
        return osp.relpath(of_map, osp.join(out, MAPS))

    @staticmethod
    def paths(out: str, name: str) -> Tuple[str, str]:
        """Of the map and the drawing of an image."""
        path = map_name(name)
        return osp.join(out, MAPS, path), osp.join(out, OVERLAYS, f'{path[:-4]}.jpg')

    def write_record(self, out: str, shares: Iterable[Tuple[str, Dict[str, float]]], skipped: Iterable[str],
                     confidence: Iterable[Tuple[str, float]] = ()) -> str:
        """Write ``out/predictions.json`` image by image; its path.

        Args:
            shares: names of images, and their :meth:`shares`.
            skipped: which images were left out, or why.
            confidence: names of images, and how sure the model is of each; the record has none if it is of none.
        """
        path = osp.join(out, RECORD)
        with replacing(path) as part, open(part, 'w', encoding='utf-8') as file:
            file.write(f'{{\n "classes": {_json(self.names.names)},\n')
            if self.refine is not None:
                file.write(f' "refine": {_json(self.refine)},\n')
            file.write(' "images": {')
            _write_items(file, (f'{_json(printable(name))}: {_json(of_image)}' for name, of_image in shares))
            file.write('},\n "skipped": [')
            _write_items(file, (_json(printable(text)) for text in skipped))
            file.write(']')
            confidence = iter(confidence)
            first = next(confidence, None)
            if first is not None:
                file.write(',\n "confidence": {')
                _write_items(file, (f'{_json(printable(name))}: {value:.4f}' for name, value in (first, *confidence)))
                file.write('}')
            file.write('\n}')
        return path


class MapFolder:
    """The maps of the images below a folder, written as they come; what was written before is not made again.

    Args:
        out: what ``maps/``, ``overlays/``, ``progress/`` and ``predictions.json`` go to.
        images: their names.
        names, background, refine: see :class:`MapFiles`.
        settings: what the maps depend on.
        shard, replace: see :class:`mmseg_unsup.apis.folder_journal.Journal`.
    """

    def __init__(self, out: str, images: ImageNames, names: ClusterNames, background: Optional[int], settings: dict,
                 shard: Shard = WHOLE, replace: bool = False, refine: Optional[dict] = None) -> None:
        self.out, self.images = out, images
        self.files = MapFiles(names, background, refine)
        settings = dict(images=osp.realpath(images.root), classes=[of_class._asdict() for of_class in names.classes],
                        **settings)
        self.journal = Journal(out, images, settings, lambda name: self.files.paths(out, name), shard, replace)

    def __enter__(self) -> 'MapFolder':
        return self

    def __exit__(self, *exception) -> None:
        self.journal.__exit__()

    def add(self, path: str, image: np.ndarray, ids: np.ndarray, confidence: Optional[float] = None) -> None:
        """Write what was found in an image, (H, W, 3) uint8 RGB: (H, W) classes. Of any thread.

        Args:
            confidence: how sure the model is, from 0 to 1; None of one that does not say so.
        """
        name = self.images.name_of(path)
        self.files.write(self.out, name, image, ids)
        self.journal.add(name, self.files.shares(ids), confidence)

    def add_clusters(self, path: str, image: np.ndarray, clusters: np.ndarray) -> None:
        """The same of (H, W) clusters, unless the map of the image was made before."""
        if not self.journal.has(self.images.name_of(path)):
            self.add(path, image, self.files.names.table[clusters])

    def skip(self, path: str, fault: str) -> None:
        """Record that an image was left out, and why."""
        self.journal.add_fault(self.images.name_of(path), fault)

    def finish(self) -> Totals:
        """Write the record if every image has its line, be it of another process."""
        found = self.journal.collect()
        if not found.n_missing:
            if self.journal.n_calls > 1:  # processes that were killed have left parts of files
                for kind in (MAPS, OVERLAYS):
                    remove_parts_below(osp.join(self.out, kind))
            self.files.write_record(self.out, ((line.image, line.found) for line in found if not line.fault),
                                    (line.fault for line in found if line.fault),
                                    ((line.image, line.confidence) for line in found if line.confidence is not None))
        return found.totals


def map_settings(model: torch.nn.Module,
                 pipeline: Sequence[dict],
                 precision: str = 'float32',
                 tile: Optional[int] = None,
                 overlap: Optional[int] = None) -> Dict[str, Any]:
    """What the maps of a model depend on, as plain values.

    Args:
        pipeline: configs of the transforms that show it an image.
        precision: of the network.
        tile, overlap: see :class:`mmseg_unsup.apis.UnsupInferencer`; without tiles None.
    """
    return dict(weights=fingerprint([*model.state_dict().values()]), test_cfg=dict(model.test_cfg or {}),
                pipeline=list(pipeline), precision=precision, tile=tile, overlap=overlap)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write_items(file: TextIO, items: Iterable[str]) -> None:
    """The items of a JSON list or object, each on a line."""
    for i, item in enumerate(items):
        file.write(f'{"," if i else ""}\n  {item}')


def check_map_folder(out: str, images: str) -> None:
    """Raise ValueError if maps or drawings would be written into the folder of the images, or below a file."""
    if osp.exists(out) and not osp.isdir(out):
        raise ValueError(f'{printable(out)}, the place of the maps, is a file: give a folder')
    for folder in (MAPS, OVERLAYS):
        check_output(osp.join(out, folder), images)


def check_names(names: List[str]) -> None:
    """Raise ValueError if images of these names would share a map."""
    alike = two_of_one_file(names, map_name)
    if alike:
        raise ValueError(f'two images would have the map {printable(map_name(names[alike[0]]))}: give the folder that '
                         'holds both, which keeps its sub-folders, or write them to two folders')
