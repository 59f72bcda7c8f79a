"""Segmenting images by a trained model."""
import functools
import logging
import os
import os.path as osp
from contextlib import nullcontext
from itertools import chain
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.infer import BaseInferencer

from ..datasets.errors import check_on_error
from ..presets import n_cores
from ..structures import ClusterNames
from ..utils import track_progress
from ..utils.checks import check_count
from ..utils.console import say
from ..utils.whole_images import whole_image_pipeline
from .image_input import Entry, InputType, Picture, list_inputs
from .loading import load_segmentor, read_config, with_refine
from .map_files import MapFiles, check_map_folder, check_names, map_settings
from .model_files import download_model, find_model, find_names, is_hub_name
from .picture_batches import PictureBatches
from .picture_model import PictureModel

_MAX_WORKERS = 8


def _name_of(path: str, root: Optional[str]) -> str:
    """The name of an image, below the folder of all images; None for one flat folder."""
    return osp.relpath(path, root) if root else osp.basename(path)


class Prediction(NamedTuple):
    """What is found in one image.

    Attributes:
        path: of its file, None of an array or a PIL image.
        image: (H, W, 3) uint8 RGB.
        ids: (H, W) int16 classes of ``UnsupInferencer.names``.
        scores: (H, W) float32 of the winning cluster.
    """
    path: Optional[str]
    image: np.ndarray
    ids: np.ndarray
    scores: np.ndarray


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
        refine: ``'exact'`` or ``'lattice'`` refines maps by such a dense CRF, see :class:`Refinement`, ``'none'`` does
            not; None for what the config says (``model.test_cfg.refine``). The scores stay those of the network.
        amp: mixed precision: the network in bfloat16, or in float16 on GPUs without it.
        workers: threads that decode images before their turn comes; None for one per core, eight at most.
        smooth: the scores of an image file are their mean over so many, with those before it in its folder, which are
            frames of a video; see :class:`TimeMean`. Images are then seen one at a time, and not in tiles.

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
                 show_progress: bool = True,
                 amp: bool = False,
                 workers: Optional[int] = None,
                 refine: Optional[str] = None,
                 smooth: int = 1) -> None:
        check_on_error(on_error)
        PictureModel.check(tile, overlap, smooth)
        self.workers = min(n_cores(), _MAX_WORKERS) if workers is None else workers
        check_count('workers', self.workers)
        if size is not None:
            check_count('size', size)
        self.size, self.tile, self.overlap, self.smooth, self.on_error = size, tile, overlap, smooth, on_error
        self.skipped: List[str] = []
        self._options = options = with_refine(options, refine)
        # BaseInferencer takes an empty config for the one in the checkpoint
        super().__init__(model=Config() if model is None else read_config(model, options), weights=find_model(weights),
                         device=device, scope='mmseg', show_progress=show_progress)
        self._seen = PictureModel(self.model, self.pipeline, tile, overlap, smooth, amp)
        identity = self.model.cluster_identity()
        if isinstance(clusters, (str, os.PathLike)):
            clusters = ClusterNames.load(os.fspath(clusters))
        self.cluster_names = clusters or ClusterNames.identity(*identity, self.model.background_cluster)
        self.cluster_names.check(*identity)
        self.names, self.palette = self.cluster_names.names, self.cluster_names.palette
        self._table = self.cluster_names.table.astype(np.int16)
        self._files = MapFiles(self.cluster_names, self.model.background_cluster, self.model.refine_settings)
        self.background = self._files.background

    @classmethod
    def from_pretrained(cls,
                        model: Union[str, os.PathLike],
                        clusters: Union[str, ClusterNames, None] = None,
                        **kwargs) -> 'UnsupInferencer':
        """An inferencer of a model that carries its config.

        Args:
            model: a checkpoint file; a folder that ``mmseg-unsup segment``, ``push`` or a training wrote; or, if there
                is no such path, ``owner/name`` or ``owner/name@revision`` of the Hugging Face hub, whose repository
                ``mmseg-unsup push`` wrote.
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
                 batch_size: Optional[int] = None,
                 return_vis: bool = False,
                 out_dir: str = '') -> dict:
        """Segment paths, folders, arrays ((H, W, 3) uint8 BGR), PIL images or a list of these.

        Args:
            batch_size: see :meth:`stream`.
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

    def stream(self, inputs: Union[InputType, Sequence[InputType]],
               batch_size: Optional[int] = None) -> Iterator[Prediction]:
        """Predict image by image, in their order; a few batches are in memory.

        Args:
            batch_size: images of one size, or tiles, at a time; None for up to 16 on a GPU, fewer of large ones, and
                for 1 elsewhere.

        Raises:
            MemoryError: an image needs more than there is, see :meth:`bytes_needed`; when its turn comes.
            ValueError: ``batch_size`` is no whole number from 1 on.
        """
        if batch_size is not None:
            check_count('batch_size', batch_size)
        entries = list_inputs(inputs)
        return self.stream_entries(entries, len(entries), batch_size)

    def stream_entries(self, entries: Iterable[Entry], total: int, batch_size: Optional[int] = None,
                       on_fault: Callable[[Entry, str], None] = lambda entry, fault: None) -> Iterator[Prediction]:
        """:meth:`stream` of so many entries of :func:`list_inputs`.

        Args:
            on_fault: is told what is skipped, and why.
        """
        self.skipped = []
        if self._seen.time_mean is not None:
            self._seen.time_mean.clear()
            batch_size = 1  # in their order
        shown = track_progress('inference', total) if self.show_progress else nullcontext(lambda n: None)
        with shown as advance:
            def skip(entry: Entry, fault: str) -> None:
                on_fault(entry, fault)
                advance(1)

            ready, n_given, launched = {}, 0, None
            for pictures in chain(self.preprocess(entries, batch_size, skip), [None]):
                # a GPU works on this batch while the one before is looked at
                before, launched = launched, pictures and self._seen.launch(pictures, batch_size)
                for picture, *won in before() if before else ():
                    ready[picture.number] = self._prediction(picture, *won)
                while n_given in ready:
                    yield ready.pop(n_given)
                    n_given += 1
                    advance(1)

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

    def settings(self) -> dict:
        """What the maps depend on, as plain values."""
        tile, overlap = (self.tile, self.overlap) if self.tile else (None, None)
        pipeline = whole_image_pipeline(self.cfg, self.size)
        return dict(map_settings(self.model, pipeline, self._seen.precision, tile, overlap),
                    smooth=self.smooth if self.smooth > 1 else None)

    def save_record(self, out_dir: str, shares: Dict[str, Dict[str, float]]) -> str:
        """Write ``out_dir/predictions.json``: the names, :meth:`shares` by image, and what was skipped; its path."""
        return self._files.write_record(out_dir, shares.items(), self.skipped)

    def preprocess(self, inputs: Iterable[Entry], batch_size: Optional[int] = None,
                   on_fault: Callable[[Entry, str], None] = lambda entry, fault: None) -> Iterator[List[Picture]]:
        """Decode, ahead of what is asked for, and group pictures of one size that are near each other."""

        def skip(entry: Entry, fault: str) -> None:
            self.skipped.append(fault)
            say(f'left out: {fault}', logging.WARNING)
            on_fault(entry, fault)

        batches = PictureBatches(functools.partial(self._seen.read, batch_size=batch_size),
                                 functools.partial(self._seen.batch_of, batch_size=batch_size), self.workers,
                                 None if self.on_error == 'raise' else skip)
        return batches(inputs)

    def forward(self, inputs: List[Picture], batch_size: Optional[int] = None) -> List[Prediction]:
        """Predict pictures of one size."""
        return [self._prediction(*won) for won in self._seen.launch(inputs, batch_size)()]

    def bytes_needed(self, shape: Tuple[int, int], batch_size: int = 1) -> int:
        """Memory that a batch of images of (H, W) pixels takes, about."""
        return self._seen.bytes_needed(shape, batch_size)

    def _prediction(self, picture: Picture, clusters: np.ndarray, scores: np.ndarray) -> Prediction:
        return Prediction(picture.path, picture.rgb, self._table[clusters], scores)

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

    def visualize(self, inputs: object, preds: List[Prediction], show: bool = False, **kwargs) -> List[np.ndarray]:
        """The pictures of :meth:`draw`."""
        return [self.draw(prediction) for prediction in preds]

    def postprocess(self, preds: List[Prediction], visualization: List[np.ndarray], return_datasample: bool = False,
                    **kwargs) -> dict:
        """What :meth:`__call__` returns."""
        predictions = [dict(path=prediction.path, ids=prediction.ids, scores=prediction.scores,
                            shares=self.shares(prediction)) for prediction in preds]
        return dict(predictions=predictions, names=self.names, visualization=visualization)


from_pretrained = UnsupInferencer.from_pretrained
