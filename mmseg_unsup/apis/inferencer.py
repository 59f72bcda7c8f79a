"""Segmenting images by a trained model."""
import logging
import os
import os.path as osp
import time
from contextlib import nullcontext
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.infer import BaseInferencer
from torch import Tensor

from ..datasets.errors import UnreadableImageError, check_on_error
from ..functional import to_image_size, winner_map
from ..structures import ClusterNames
from ..utils import track_progress
from ..utils.checks import check_count
from ..utils.console import counted, say
from ..utils.whole_images import whole_image_pipeline
from .image_input import TILES, InputType, Picture, check_fits, list_inputs, read_picture
from .loading import load_segmentor, read_config
from .map_files import MAPS, OVERLAYS, MapFiles, check_map_folder, check_names
from .model_files import download_model, find_model, find_names, is_hub_name
from .tiling import blend_tiles

# bytes per pixel of an image, decoded picture and results included: measured, rounded up; further ones of a batch
WHOLE_BYTES, _TILED_BYTES, _FURTHER_BYTES = 50, 24, 12


def _name_of(path: str, root: Optional[str]) -> str:
    """The name of an image, below the folder of all images; None for one flat folder."""
    return osp.relpath(path, root) if root else osp.basename(path)


class Prediction(NamedTuple):
    """What is found in one image."""
    path: Optional[str]  # None of an array or a PIL image
    image: np.ndarray  # (H, W, 3) uint8 RGB
    ids: np.ndarray  # (H, W) int16 classes of `UnsupInferencer.names`
    scores: np.ndarray  # (H, W) float32 of the winning cluster


class UnsupInferencer(BaseInferencer):
    """Segments images by a trained model of this package, in the manner of mmseg's ``MMSegInferencer``.

    An image is seen as the test pipeline of the config sees it, but wholly (no centre crop), and its map has the size
    of the file. Every pixel has the class of the cluster that wins there, and that cluster's score, see
    ``cluster_scores`` of the segmentors. :meth:`from_pretrained` makes one of a model that carries its config.

    Args:
        model: config by path, as ``mmseg_unsup::picie/picie_fpn_camvid.py`` or as ``Config``; None for the one in the
            checkpoint.
        weights: the checkpoint, read as data: what :func:`mmseg_unsup.apis.model_files.find_model` takes.
        clusters: a ``clusters.json`` or :class:`ClusterNames`: names, colours and merged clusters; None for every
            cluster on its own.
        device: None for a GPU where there is one.
        size: pixels of the shorter side that the network sees (of both for models that see squares); None for the
            config's.
        tile: images with a longer side than this are cut into tiles of so many pixels, each of which is seen as an
            image; scores are blended where tiles overlap. None for never. See :meth:`bytes_needed` for the memory.
        overlap: pixels that neighbouring tiles share at least.
        on_error: ``'raise'`` or ``'skip'`` images that cannot be read; those are in ``skipped``.
        options: dotted key -> value, changes of the config.
        show_progress: bar or log lines.

    Attributes:
        names (list): of the classes.
        palette (np.ndarray): (C, 3) uint8 RGB.
        cluster_names (ClusterNames): what ``clusters`` says.
        background (int): class outside all objects, None for methods without.
        skipped (list): messages of the images that the last call left out.

    Raises:
        ValueError: a bad option; the names are of another checkpoint; see :func:`load_segmentor`.
    """

    def __init__(self,
                 model: Union[str, Config, None],
                 weights: str,
                 clusters: Union[str, ClusterNames, None] = None,
                 device: Optional[str] = None,
                 size: Optional[int] = None,
                 tile: Optional[int] = None,
                 overlap: int = 64,
                 on_error: str = 'raise',
                 options: Optional[dict] = None,
                 show_progress: bool = True) -> None:
        check_on_error(on_error)
        if size is not None:
            check_count('size', size)
        if tile is not None and not 0 <= overlap < tile:
            raise ValueError(f'tiles of {tile} pixels cannot overlap by {overlap}: overlap must be at least 0 and '
                             'less than a tile')
        self.size, self.tile, self.overlap, self.on_error = size, tile, overlap, on_error
        self.skipped: List[str] = []
        self._options = options
        # BaseInferencer takes an empty config for the one in the checkpoint
        super().__init__(model=Config() if model is None else read_config(model, options), weights=find_model(weights),
                         device=device, scope='mmseg', show_progress=show_progress)
        identity = self.model.cluster_identity()
        if isinstance(clusters, (str, os.PathLike)):
            clusters = ClusterNames.load(os.fspath(clusters))
        self.cluster_names = clusters or ClusterNames.identity(*identity, self.model.background_cluster)
        self.cluster_names.check(*identity)
        self.names, self.palette = self.cluster_names.names, self.cluster_names.palette
        self._table = self.cluster_names.table.astype(np.int16)
        self._files = MapFiles(self.cluster_names, self.model.background_cluster)
        self.background = self._files.background

    @classmethod
    def from_pretrained(cls,
                        model: Union[str, os.PathLike],
                        clusters: Union[str, ClusterNames, None] = None,
                        **kwargs) -> 'UnsupInferencer':
        """An inferencer of a model that carries its config.

        Args:
            model: a checkpoint file; a folder that ``mmseg-unsup segment`` or a training wrote; or, if there is no such
                path, ``owner/name`` or ``owner/name@revision`` of the Hugging Face hub, whose repository has
                ``model.pth`` and may have ``clusters.json``.
            clusters: as of the class; None for the ``clusters.json`` of the folder or repository if there is one,
                ``'none'`` for every cluster on its own.
            kwargs: further arguments of the class.

        Raises:
            FileNotFoundError: there is no such file or folder, or no checkpoint in it.
            ImportError: a name of the hub, and huggingface_hub, the extra ``hub``, is not installed.
            OSError: the hub does not have it, or cannot be reached.
            ValueError: the checkpoint carries no config; see the class.
        """
        if is_hub_name(model):
            model = download_model(model)
        if not isinstance(clusters, ClusterNames):
            clusters = find_names(model, clusters)
        return cls(None, find_model(model), clusters, **kwargs)

    def __call__(self,
                 inputs: Union[InputType, Sequence[InputType]],
                 batch_size: int = 1,
                 return_vis: bool = False,
                 out_dir: str = '') -> dict:
        """Segment paths, folders, arrays ((H, W, 3) uint8 BGR), PIL images or a list of these.

        Args:
            batch_size: images of one size, or tiles, at a time.
            return_vis: also return the pictures of :meth:`draw`.
            out_dir: see :meth:`save`; not written by default.

        Returns:
            ``predictions``, a dict of ``path``, ``ids`` (H, W), ``scores`` (H, W) and ``shares`` (name -> share of the
            pixels) per image, ``names`` and ``visualization``.
        """
        root = inputs if isinstance(inputs, str) and osp.isdir(inputs) else None
        if out_dir:
            self.check_output(inputs, out_dir, root)
        predictions = []
        for prediction in self.stream(inputs, batch_size):
            if out_dir:
                self.save(prediction, out_dir, root, f'{len(predictions):08d}')
            predictions.append(prediction)
        return self.postprocess(predictions, self.visualize(inputs, predictions) if return_vis else [])

    def stream(self, inputs: Union[InputType, Sequence[InputType]], batch_size: int = 1) -> Iterator[Prediction]:
        """Predict image by image: no more than a batch is in memory.

        Raises:
            MemoryError: an image needs more than there is, see :meth:`bytes_needed`; before the first is predicted.
            ValueError: ``batch_size`` is no whole number from 1 on.
        """
        check_count('batch_size', batch_size)
        entries = list_inputs(inputs)
        for entry in entries:
            check_fits(entry, lambda shape: self.bytes_needed(shape, batch_size), TILES)
        self.skipped = []
        shown = track_progress('inference', len(entries)) if self.show_progress else nullcontext(lambda n: None)
        with shown as advance:
            for pictures in self.preprocess(entries, batch_size, advance):
                for prediction in self.forward(pictures, batch_size):
                    advance(1)
                    yield prediction

    def shares(self, prediction: Prediction) -> Dict[str, float]:
        """Name -> share of the pixels, of the classes that occur."""
        return self._files.shares(prediction.ids)

    def draw(self, prediction: Prediction) -> np.ndarray:
        """(H', W', 3) uint8 RGB: the image coloured by its classes, with their names."""
        return self._files.draw(prediction.image, prediction.ids)

    def check_output(self, inputs: Union[InputType, Sequence[InputType]], out_dir: str,
                     root: Optional[str] = None) -> None:
        """Raise ValueError if :meth:`save` would write two maps of these inputs to one file, or any of its files into a
        folder of theirs."""
        paths = [entry for entry in list_inputs(inputs) if isinstance(entry, str)]
        check_names([_name_of(path, root) for path in paths])
        for folder in {osp.dirname(path) for path in paths}:
            check_map_folder(out_dir, folder)

    def save(self, prediction: Prediction, out_dir: str, root: Optional[str] = None, name: str = '') -> str:
        """Write the map of classes, an indexed PNG, below ``out_dir/maps`` and the drawing below ``out_dir/overlays``.

        Args:
            root: folder of the images, whose structure is kept.
            name: of an array or a PIL image.

        Returns:
            the path below ``maps``.
        """
        if prediction.path is not None:
            name = _name_of(prediction.path, root)
        return self._files.write(out_dir, name, prediction.image, prediction.ids)

    def save_record(self, out_dir: str, shares: Dict[str, Dict[str, float]]) -> str:
        """Write ``out_dir/predictions.json``: the names, :meth:`shares` by image, and what was skipped; its path."""
        return self._files.write_record(out_dir, shares, self.skipped)

    def preprocess(self, inputs: list, batch_size: int = 1, advance: Callable = None) -> Iterator[List[Picture]]:
        """Decode, and group neighbours that the network sees at one size."""
        batch: List[Picture] = []
        for entry in inputs:
            try:
                picture = read_picture(entry, lambda shape: self.bytes_needed(shape, batch_size))
            except UnreadableImageError as error:
                if self.on_error == 'raise':
                    raise
                self.skipped.append(error.fault)
                say(f'left out: {error.fault}', logging.WARNING)
                if advance is not None:
                    advance(1)
                continue
            if batch and (len(batch) == batch_size or picture.image.shape != batch[0].image.shape):
                yield batch
                batch = []
            batch.append(picture)
        if batch:
            yield batch

    @torch.no_grad()
    def forward(self, inputs: List[Picture], batch_size: int = 1) -> List[Prediction]:
        """Predict pictures of one size."""
        if self._is_tiled(inputs[0].image.shape[:2]):
            found = (self._predict_tiled(picture.image, batch_size) for picture in inputs)
        else:
            found = self._predict_whole(inputs)
        return [Prediction(picture.path, np.ascontiguousarray(picture.image[..., ::-1]), self._table[ids], scores)
                for picture, (ids, scores) in zip(inputs, found)]

    def bytes_needed(self, shape: Tuple[int, int], batch_size: int = 1) -> int:
        """Memory that a batch of images of (H, W) pixels takes, about."""
        of_first = WHOLE_BYTES * shape[0] * shape[1]
        if self._is_tiled(shape):  # besides the picture, sums and finished rows of a row of tiles
            band = 3 * 4 * self.model.n_predicted * min(self.tile, shape[0]) * shape[1]
            of_first = _TILED_BYTES * shape[0] * shape[1] + band
        return of_first + (batch_size - 1) * _FURTHER_BYTES * shape[0] * shape[1]

    def _is_tiled(self, shape: Tuple[int, int]) -> bool:
        return self.tile is not None and max(shape) > self.tile

    def _predict_whole(self, pictures: List[Picture]) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        scores, metas = self._scores(pictures)
        for of_image, meta in zip(scores, metas):
            ids, best = winner_map(of_image, meta, self.model.align_corners)
            yield ids.cpu().numpy(), best.cpu().numpy()

    def _predict_tiled(self, image: np.ndarray, batch_size: int) -> Tuple[np.ndarray, np.ndarray]:
        shape = image.shape[:2]
        ids, best = np.zeros(shape, np.int16), np.zeros(shape, np.float32)

        def tile_scores(boxes):
            for start in range(0, len(boxes), batch_size):
                tiles = [Picture(None, image[box]) for box in boxes[start:start + batch_size]]
                for scores, meta in zip(*self._scores(tiles)):
                    yield to_image_size(scores, meta, self.model.align_corners)

        for rows, scores in blend_tiles(shape, self.tile, self.overlap, self.model.n_predicted, tile_scores):
            values, winner = scores.max(0)
            ids[rows], best[rows] = winner.short().cpu().numpy(), values.cpu().numpy()
        return ids, best

    def _scores(self, pictures: List[Picture]) -> Tuple[Tensor, List[dict]]:
        """Pictures of one size -> (N, K, h, w) scores, and what :func:`to_image_size` needs."""
        packed = [self.pipeline(dict(img_path=path, img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))
                  for path, image in pictures]
        data = self.model.data_preprocessor({key: [item[key] for item in packed] for key in packed[0]}, False)
        metas = [sample.metainfo for sample in data['data_samples']]
        return self.model.cluster_scores(data['inputs'], metas), metas

    def _init_model(self, cfg: Config, weights: str, device: str):
        if 'model' in cfg:  # options are in it
            return load_segmentor(cfg, weights, device)[1]
        loaded, model = load_segmentor(None, weights, device, self._options)
        cfg.merge_from_dict(loaded.to_dict())  # BaseInferencer holds on to this object
        return model

    def _init_pipeline(self, cfg: Config) -> Compose:
        return Compose(whole_image_pipeline(cfg, self.size))

    def _init_collate(self, cfg: Config) -> None:
        """No collate function: pictures of one size are stacked as they are."""

    def _init_visualizer(self, cfg: Config) -> None:
        """No visualizer: :meth:`draw` does it."""

    def visualize(self, inputs, preds: List[Prediction], show: bool = False, **kwargs) -> List[np.ndarray]:
        """The pictures of :meth:`draw`."""
        return [self.draw(prediction) for prediction in preds]

    def postprocess(self, preds: List[Prediction], visualization: List[np.ndarray], return_datasample: bool = False,
                    **kwargs) -> dict:
        """What :meth:`__call__` returns."""
        predictions = [dict(path=prediction.path, ids=prediction.ids, scores=prediction.scores,
                            shares=self.shares(prediction)) for prediction in preds]
        return dict(predictions=predictions, names=self.names, visualization=visualization)


def predict_folder(inferencer: UnsupInferencer, images: str, out: str, batch_size: int = 1) -> str:
    """Write what is found in the images of a folder, or in one image, image by image.

    Args:
        out: what ``maps/``, ``overlays/`` and ``predictions.json`` go to.
        batch_size: images of one size, or tiles, at a time.

    Returns:
        a line that says what was done.
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
