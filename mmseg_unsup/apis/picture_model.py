"""A model on decoded pictures: what wins at each of their pixels, seen wholly, in tiles or as a mean over time."""
from contextlib import nullcontext
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..functional import to_image_size
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..utils.checks import check_count
from ..utils.speed import amp_dtype
from .image_input import Entry, Picture, read_picture
from .tiling import blend_tiles
from .time_mean import TimeMean

# bytes per pixel of an image, decoded picture and results included: measured, rounded up; further ones of a batch
WHOLE_BYTES, _TILED_BYTES, _FURTHER_BYTES = 50, 24, 12
# of a GPU by default, images and pixels
_BATCH, _BATCH_PIXELS = 16, 2**24

Won = Iterator[Tuple[Picture, np.ndarray, np.ndarray]]


class PictureModel:
    """A model, and how it sees pictures.

    Args:
        model: whose clusters are asked for.
        pipeline: a picture, as a dict of ``img``, ``img_path``, ``img_shape`` and ``ori_shape`` -> as the network sees
            it.
        tile, overlap, smooth, amp: see :class:`mmseg_unsup.apis.UnsupInferencer`.

    Attributes:
        precision (str): of the network, ``'float32'``, ``'bfloat16'`` or ``'float16'``.
        time_mean (TimeMean): None where every image is on its own.
    """

    def __init__(self, model: ClusterSegmentor, pipeline: Callable[[dict], dict], tile: Optional[int], overlap: int,
                 smooth: int, amp: bool) -> None:
        self.model, self.pipeline, self.tile, self.overlap = model, pipeline, tile, overlap
        self._amp_dtype = amp_dtype(self._place) if amp else None
        self.precision = str(self._amp_dtype or torch.float32).rpartition('.')[2]
        self.time_mean = TimeMean(smooth) if smooth > 1 else None

    @staticmethod
    def check(tile: Optional[int], overlap: int, smooth: int) -> None:
        """Raise ValueError for tiles that cannot be laid, or a mean over time of tiles."""
        check_count('smooth', smooth)
        if smooth > 1 and tile is not None:
            raise ValueError(f'a mean over {smooth} images (smooth) is not made of tiles: leave smooth or tile out')
        if tile is not None and not 0 <= overlap < tile:
            raise ValueError(f'tiles of {tile} pixels cannot overlap by {overlap}: overlap must be at least 0 and '
                             'less than a tile')

    @property
    def _place(self) -> torch.device:
        return self.model.data_preprocessor.device

    def read(self, entry: Entry, batch_size: Optional[int]) -> Picture:
        """Decode an input, and pack it where it is seen wholly; of any thread. See :func:`read_picture`."""
        picture = read_picture(entry, lambda shape: self.bytes_needed(shape, self.batch_of(shape, batch_size)))
        return picture if self._is_tiled(picture.image.shape) else picture._replace(packed=self._pack(picture))

    def batch_of(self, shape: Sequence[int], batch_size: Optional[int]) -> int:
        """How many images of (H, W) pixels are seen at a time, or how many tiles: as asked, else so many as fit."""
        if batch_size is not None:
            return batch_size
        if self._place.type == 'cpu':
            return 1
        seen = (self.tile, self.tile) if self._is_tiled(shape) else shape
        return max(1, min(_BATCH, _BATCH_PIXELS // (seen[0] * seen[1])))

    def bytes_needed(self, shape: Tuple[int, int], batch_size: int = 1) -> int:
        """Memory that a batch of images of (H, W) pixels takes, about."""
        of_first = image_bytes(self.model, shape)
        if self._is_tiled(shape):  # besides the picture, sums and finished rows of a row of tiles
            band = 3 * 4 * self.model.n_predicted * min(self.tile, shape[0]) * shape[1]
            of_first += (_TILED_BYTES - WHOLE_BYTES) * shape[0] * shape[1] + band
        return of_first + (batch_size - 1) * _FURTHER_BYTES * shape[0] * shape[1]

    @torch.no_grad()
    def launch(self, pictures: List[Picture], batch_size: Optional[int]) -> Callable[[], Won]:
        """Have pictures of one size predicted; what is returned waits, and yields each with its (H, W) clusters and
        their scores."""
        shape = pictures[0].image.shape[:2]
        if self._is_tiled(shape):
            size = self.batch_of(shape, batch_size)
            found = [self._predict_tiled(picture, size) for picture in pictures]
        else:
            found = self._predict_whole(pictures)
        found = [(ids.to('cpu', non_blocking=True), best.to('cpu', non_blocking=True)) for ids, best in found]
        copied = torch.cuda.Event() if torch.cuda.is_available() else None
        if copied is not None:
            copied.record()

        def finish() -> Won:
            if copied is not None:
                copied.synchronize()
            for picture, (ids, best) in zip(pictures, found):
                yield picture, ids.numpy(), best.numpy()

        return finish

    def scores(self, pictures: List[Picture]) -> Tuple[Tensor, List[dict]]:
        """Pictures of one size -> (N, K, h, w) scores, and what :func:`to_image_size` needs."""
        packed = [picture.packed or self._pack(picture) for picture in pictures]
        data = self.model.data_preprocessor({key: [item[key] for item in packed] for key in packed[0]}, False)
        metas = [sample.metainfo for sample in data['data_samples']]
        kind = data['inputs'].device.type
        with torch.autocast(kind, self._amp_dtype) if self._amp_dtype else nullcontext():
            scores = self.model.cluster_scores(data['inputs'], metas)
        return scores.float(), metas

    def _pack(self, picture: Picture) -> dict:
        """A picture as the network sees it."""
        shape = picture.image.shape[:2]
        return self.pipeline(dict(img_path=picture.path, img=picture.image, img_shape=shape, ori_shape=shape))

    def _is_tiled(self, shape: Sequence[int]) -> bool:
        return self.tile is not None and max(shape) > self.tile

    def _predict_whole(self, pictures: List[Picture]) -> List[Tuple[Tensor, Tensor]]:
        is_refined = self.model.refine_settings is not None
        return [self.model.winners(self._over_time(picture, of_image), meta, picture.rgb if is_refined else None)
                for picture, of_image, meta in zip(pictures, *self.scores(pictures))]

    def _over_time(self, picture: Picture, scores: Tensor) -> Tensor:
        is_frame = self.time_mean is not None and picture.path is not None
        return self.time_mean(picture.path, scores) if is_frame else scores

    def _predict_tiled(self, picture: Picture, batch_size: int) -> Tuple[Tensor, Tensor]:
        image = picture.image
        shape = image.shape[:2]

        def tile_scores(boxes: Sequence[tuple]) -> Iterator[Tensor]:
            for start in range(0, len(boxes), batch_size):
                tiles = [Picture(None, image[box]) for box in boxes[start:start + batch_size]]
                for scores, meta in zip(*self.scores(tiles)):
                    yield to_image_size(scores, meta, self.model.align_corners)

        blended = blend_tiles(shape, self.tile, self.overlap, self.model.n_predicted, tile_scores)
        refinement = self.model.refinement
        if refinement is None:
            return _winners_of_strips(shape, blended)
        return refinement.winners(picture.rgb, refinement.gathered(shape, blended))


def image_bytes(model: ClusterSegmentor, shape: Tuple[int, int]) -> int:
    """Memory that an image of (H, W) pixels takes which the network sees whole, about."""
    refinement = model.refinement
    of_refinement = 0 if refinement is None else refinement.bytes_needed(shape, model.n_predicted)
    return WHOLE_BYTES * shape[0] * shape[1] + of_refinement


def _winners_of_strips(shape: Tuple[int, int], strips: Iterable[Tuple[slice, Tensor]]) -> Tuple[Tensor, Tensor]:
    """Rows and their (K, n, W) scores, of a whole image -> (H, W) int16 clusters, (H, W) their scores."""
    ids, best = torch.zeros(shape, dtype=torch.int16), torch.zeros(shape)
    for rows, scores in strips:
        values, winner = scores.max(0)
        ids[rows], best[rows] = winner.short().cpu(), values.cpu()
    return ids, best
