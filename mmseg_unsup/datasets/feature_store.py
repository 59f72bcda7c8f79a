"""Features of the images of a data set in files of float16, which all processes read as memory maps."""
import hashlib
import json
import os
import os.path as osp
import shutil
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ..utils.atomic import remove_parts, replacing, write_json
from ..utils.devices import to_device
from ..utils.locks import take_lock
from ..utils.paths import printable

HEAD, LOCK = 'features.json', 'features.lock'
_PART_BYTES = 2**25  # what a killed process loses, of each that writes
_MAX_CHARS = 60

Name = Union[str, int]  # of an output of a frozen backbone


class Part(NamedTuple):
    """Images that one file holds: those of one variant from number ``start`` on and before ``end``."""
    variant: int
    start: int
    end: int

    @property
    def file(self) -> str:
        return f'{self.variant}-{self.start}.npy'


class FeatureStore:
    """Outputs of a frozen backbone for every image of a data set, of each of its views.

    A folder with ``features.json``, which says what they are of, and files in the format of NumPy, parts of some 32 MB.
    A part is there whole or not at all, so whoever is stopped goes on with those that are missing, and several
    processes write different ones. Nothing is read before it is asked for; what is read stays in the cache of the
    system, which all processes share.

    Views that are drawn at random have ``variants``: those of the epochs 0 to ``n_variants - 1`` of a seed.

    Args:
        folder: of the store.
        head: plain values: ``key``, what the features depend on; ``n_images``, ``n_variants``; ``outputs``, of every
            view pairs of a name and the shape that it has for an image, such as (C, h, w); ``image_shapes``, of every
            view (3, H, W); ``flips``, whether there are those of the images flipped left to right, too.

    Attributes:
        names (list): of the outputs.
        nbytes (int): of the whole store, about.
    """

    def __init__(self, folder: str, head: Dict[str, Any]) -> None:
        self.folder, self.head = folder, head
        self.n_images, self.n_variants = head['n_images'], head['n_variants']
        self.names: List[Name] = [name for name, _ in head['outputs'][0]]
        self.dtype = np.dtype([
            ('content', '<u8'), ('is_readable', '<i4'), ('loaded_shape', '<i4', 2), ('ori_shape', '<i4', 2)] + [
            (_field_of(view, flipped, name), '<f2', _inside_out(shape)) for view, outputs in enumerate(head['outputs'])
            for flipped in (False, True)[:1 + head['flips']] for name, shape in outputs])
        self._part_images = max(1, _PART_BYTES // self.dtype.itemsize)
        self._maps: Dict[str, np.ndarray] = {}

    @property
    def nbytes(self) -> int:
        return self._bytes_of(self.parts)

    @property
    def parts(self) -> List[Part]:
        return [Part(variant, start, min(start + self._part_images, self.n_images))
                for variant in range(self.n_variants) for start in range(0, self.n_images, self._part_images)]

    def variant_of(self, seed: int, epoch: int) -> int:
        """The variant that has the views of an epoch.

        Raises:
            ValueError: those of this seed or epoch are not stored.
        """
        of_seed = self.head['key'].get('seed')
        if of_seed is None:  # nothing is drawn
            return 0
        if seed != of_seed or epoch >= self.n_variants:
            raise ValueError(f'the feature cache {printable(self.folder)} has views of the seed {of_seed} and the '
                             f'epochs before {self.n_variants}, not of {seed} and {epoch}: set randomness.seed={of_seed}')
        return epoch

    def missing(self) -> List[Part]:
        """Parts that are not there, or not whole."""
        return [part for part in self.parts if self._open(part) is None]

    def write(self, part: Part, rows: np.ndarray) -> None:
        """Write the rows of a part, whole or not at all.

        Raises:
            OSError: they cannot be written, as on a full disk.
        """
        with replacing(osp.join(self.folder, part.file)) as path, open(path, 'wb') as file:
            np.lib.format.write_array_header_2_0(file, np.lib.format.header_data_from_array_1_0(rows))
            file.write(rows.view(np.uint8).data)

    def row(self, image: int, variant: int = 0) -> np.ndarray:
        """The row of an image, whose fields are those of :meth:`field`, ``is_readable``, the shapes (height, width) of
        the picture that was decoded and of its file, and the :func:`content_hash` of that.

        Raises:
            ValueError: its part is not there, or was cut.
        """
        part = self._part_of(image, variant)
        rows = self._open(part)
        if rows is None:
            raise ValueError(f'{printable(osp.join(self.folder, part.file))} is not there or was cut: start the run '
                             'again, which makes it anew')
        return rows[image - part.start]

    def outdated(self, paths: Iterable[Tuple[int, str]]) -> Dict[Part, str]:
        """Parts with features of files that hold something else now, each with the path of one.

        Args:
            paths: numbers and files of the images. Those that are older than the store are not looked into.
        """
        begun, found = os.stat(osp.join(self.folder, HEAD)).st_mtime_ns, {}
        for image, path in paths:
            if _changed_at(path) >= begun:
                content = content_hash(path)
                parts = (self._part_of(image, variant) for variant in range(self.n_variants))
                found.update((part, path) for part in parts if self._differs(part, image, content))
        return found

    def _differs(self, part: Part, image: int, content: int) -> bool:
        rows = self._open(part)
        return rows is not None and int(rows[image - part.start]['content']) != content

    def remove(self, parts: Iterable[Part]) -> None:
        """Remove files of parts, which are made anew."""
        for part in parts:
            with suppress(FileNotFoundError):
                os.remove(osp.join(self.folder, part.file))

    def look_again(self) -> None:
        """Forget which files are open: others may have taken their places."""
        self._maps.clear()

    def _part_of(self, image: int, variant: int) -> Part:
        start = image // self._part_images * self._part_images
        return Part(variant, start, min(start + self._part_images, self.n_images))

    def maps(self, images: Sequence[int], name: Optional[Name] = None, variant: int = 0, view: int = 0,
             flipped: bool = False) -> np.ndarray:
        """(N, C, h, w) float16 outputs of images by their numbers in the data set, in channels-last memory; of the
        first name by default.

        Raises:
            ValueError: there is no such output; see :meth:`row`.
        """
        entries = np.array([(image, variant, view, flipped) for image in images], np.int64)
        return self.gather(entries, self.names[0] if name is None else name)

    def gather(self, entries: np.ndarray, name: Name) -> np.ndarray:
        """:meth:`maps` of (N, 4) numbers: image, variant, view, and 1 if it is flipped."""
        found = None
        for n, (image, variant, view, flipped) in enumerate(entries.tolist()):
            field = self.field(name, view, bool(flipped))
            values = self.row(image, variant)[field]
            found = np.empty((len(entries), *values.shape), np.float16) if found is None else found
            found[n] = values
        return np.moveaxis(found, -1, 1) if found.ndim == 4 else found

    def field(self, name: Name, view: int = 0, flipped: bool = False) -> str:
        """The field of a row that has an output of a view.

        Raises:
            ValueError: there is none.
        """
        field = _field_of(view, flipped, name)
        if field not in self.dtype.names:
            lacking = (f'output {name!r}, only {self.names}: name it in out of the frozen backbone'
                       if name not in self.names else 'features of images flipped left to right: set '
                       'default_hooks.feature_cache.flips=True')
            raise ValueError(f'the feature cache {printable(self.folder)} has no {lacking}')
        return field

    def check_space(self, missing: Sequence[Part]) -> None:
        """Raise ValueError unless the disk has room for parts that are missing."""
        free, needed = shutil.disk_usage(self.folder).free, self._bytes_of(missing)
        if needed > free:
            raise ValueError(f'the features of {self.n_images:,} images need {sized(needed)} more in '
                             f'{printable(self.folder)}, where {sized(free)} are free: name another folder '
                             '(feature_cache=DIR), or store fewer outputs (out of the frozen '
                             'backbone)')

    def _bytes_of(self, parts: Sequence[Part]) -> int:
        return sum(part.end - part.start for part in parts) * self.dtype.itemsize

    @contextmanager
    def claim(self, parts: Sequence[Part]) -> Iterator[List[Part]]:
        """Yield those of the parts that no other process is at work on and that are still missing; until the end of the
        block they are this process's. What killed processes have left of them goes."""
        numbers = {part: number for number, part in enumerate(self.parts)}
        path = osp.join(self.folder, LOCK)
        with open(path, 'ab') as file:
            mine = [part for part in parts
                    if take_lock(file.fileno(), path, numbers[part], length=1) and self._open(part) is None]
            remove_parts(self.folder, {part.file for part in mine})
            yield mine

    def _open(self, part: Part) -> Optional[np.ndarray]:
        """The rows of a part; None of one that is not there whole."""
        if part.file not in self._maps:
            with suppress(FileNotFoundError, ValueError, EOFError):  # a memory map that is longer than its file
                rows = np.load(osp.join(self.folder, part.file), mmap_mode='r', allow_pickle=False)
                if rows.dtype == self.dtype and rows.shape == (part.end - part.start, ):
                    self._maps[part.file] = rows
        return self._maps.get(part.file)

    def __reduce__(self):
        return open_store, (self.folder, )  # every process reads it for itself


class StoredImages:
    """A batch of images whose features are in a store, in the place of their pixels.

    A :class:`mmseg_unsup.FrozenBackbone` takes them as it takes a tensor (N, 3, H, W). They can be joined
    (``torch.cat``), indexed, moved to a device and flipped left to right; whatever else asks for pixels gets an error.

    Args:
        store: has their features.
        entries: (N, 4) int64: number of the image, variant, view, and 1 if it is flipped.
        device: that the features are wanted on.
    """

    def __init__(self, store: FeatureStore, entries: np.ndarray, device: Union[str, torch.device] = 'cpu') -> None:
        self.store, self.entries, self.device = store, np.asarray(entries, np.int64), torch.device(device)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: slice) -> 'StoredImages':
        if isinstance(index, tuple):
            raise _needs_pixels('a window')
        return StoredImages(self.store, self.entries[index], self.device)

    @property
    def shape(self) -> torch.Size:
        """(N, 3, H, W) of the pixels."""
        return torch.Size([len(self), *self.store.head['image_shapes'][int(self.entries[0, 2])]])

    def size(self, dim: Optional[int] = None) -> Union[int, torch.Size]:
        return self.shape if dim is None else self.shape[dim]

    def to(self, device: Union[str, torch.device], **_) -> 'StoredImages':
        return StoredImages(self.store, self.entries, device)

    def flip(self, *dims: int) -> 'StoredImages':
        """Of the last dimension."""
        if tuple(np.ravel(dims)) not in ((-1, ), (3, )):
            raise TypeError(f'images of a feature cache can be flipped left to right, not in the dimensions {dims}')
        return StoredImages(self.store, self.entries ^ [0, 0, 0, 1], self.device)

    def maps(self, names: Optional[Sequence[Name]] = None) -> Dict[Name, Tensor]:
        """Name -> (N, C, h, w) float32 output; of all names by default.

        Raises:
            ValueError: they were stored without one.
        """
        found = {name: self.store.gather(self.entries, name) for name in (self.store.names if names is None else names)}
        return {name: to_device(torch.from_numpy(values), self.device).float() for name, values in found.items()}

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is not torch.cat:
            raise _needs_pixels(function.__name__)
        images = args[0]
        return cls(images[0].store, np.concatenate([each.entries for each in images]), images[0].device)


def _needs_pixels(what: str) -> TypeError:
    return TypeError(f'{what} needs pixels, but these images are of a feature cache, which has the outputs of the '
                     'frozen backbone only: leave out feature_cache')


@lru_cache(maxsize=8)
def open_store(folder: str) -> FeatureStore:
    """The store in a folder.

    Raises:
        ValueError: its head is none.
    """
    path = osp.join(folder, HEAD)
    try:
        with open(path, encoding='utf-8') as file:
            return FeatureStore(folder, json.load(file))
    except (KeyError, TypeError, IndexError, ValueError, OSError) as error:
        raise ValueError(f'{printable(path)} is no head of a feature cache ({type(error).__name__}): remove '
                         f'{printable(folder)}, and its features are made anew') from None


def make_store(folder: str, head: Dict[str, Any]) -> FeatureStore:
    """The store of this head in a folder; begun if nothing is there.

    Raises:
        ValueError: the folder holds features of something else; see :func:`open_store`.
        OSError: it cannot be written.
    """
    head = plain(head)
    if not osp.exists(osp.join(folder, HEAD)):
        os.makedirs(folder, exist_ok=True)
        write_json(osp.join(folder, HEAD), head)
    store = open_store(folder)
    if store.head != head:
        found = differences(store.head, head) or ['other outputs']
        raise ValueError(f'{printable(folder)} holds features of something else ({"; ".join(found)}): name another '
                         'folder (feature_cache=DIR), or remove this one')
    return store


def content_hash(path: str) -> int:
    """64 bits that depend on what a file holds; 0 where it cannot be read."""
    try:
        with open(path, 'rb') as file:
            return int.from_bytes(hashlib.blake2b(file.read(), digest_size=8).digest(), 'little')
    except OSError:
        return 0


def _changed_at(path: str) -> int:
    """When what a path holds changed or another file took its place, in nanoseconds; 0 where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0
    return max(found.st_mtime_ns, found.st_ctime_ns)  # a copy that keeps the time of its source has the latter


def plain(head: Dict[str, Any]) -> Dict[str, Any]:
    """A head as its file gives it."""
    return json.loads(json.dumps(head, default=str))


def differences(there: Dict[str, Any], here: Dict[str, Any]) -> List[str]:
    """What differs between the keys of two heads, a text for each entry."""
    first, second = there.get('key', {}), here['key']
    return [f'{name} {_short(first.get(name))} there and {_short(value)} here' for name, value in second.items()
            if first.get(name) != value]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_CHARS else f'{text[:_MAX_CHARS]}...'


def as_stored(output: Tensor) -> np.ndarray:
    """(N, C, h, w) output -> (N, h, w, C) float16, others as they are: memory that reads cell by cell."""
    return (output.permute(0, 2, 3, 1) if output.dim() == 4 else output).half().cpu().numpy()


def _inside_out(shape: Sequence[int]) -> Tuple[int, ...]:
    return (*shape[1:], shape[0]) if len(shape) == 3 else tuple(shape)


def _field_of(view: int, flipped: bool, name: Name) -> str:
    return f'{view}{"f" * flipped}:{name}'


def sized(n_bytes: int) -> str:
    """A number of bytes for people."""
    return f'{n_bytes / 2**30:.2f} GiB' if n_bytes >= 2**27 else f'{n_bytes / 2**20:.1f} MiB'
