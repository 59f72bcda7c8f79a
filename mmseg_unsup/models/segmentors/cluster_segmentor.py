"""The base of all methods: what predicts clusters, and what can be done with the prediction."""
import logging
from contextlib import nullcontext
from typing import Callable, ContextManager, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from torch import Tensor, nn

from ...functional import class_map, connected_segments, fingerprint, to_image_size, unit, view_features, winner_map
from ...functional.averaging import averaged_maps, check_scales
from ...functional.crf import build_crf, refine_settings
from ...functional.refinement import Refinement
from ...structures import ClusterNames
from ...utils.console import say
from ...utils.near_names import advice
from ...utils.stack import check_backbone
from ...utils.whole_images import adapt_to_mmseg
from ...weights import check_stock_initialization, quiet_init_weights
from ...weights.tensor_names import renamed_state
from ..clusters import ClusterSets


class ForwardMaps(NamedTuple):
    """Features of a batch of images."""
    feats: Dict[str, Tensor]  # (N, C, h, w) by the names of `probe_channels`
    segments: Callable[[], Tensor]  # makes the (N, h, w) ids of the segments of every image, -1 for none
    descriptors: Optional[Callable[[], List[Tensor]]] = None  # makes the (S, D) of objects of every image, if any


class Assignments(NamedTuple):
    """The clusters of an image, and the cells or objects that were assigned to them."""
    clusters: Tensor  # (H, W) int16, of every pixel of the file
    feats: Tensor  # (S, D) float32 of unit length
    members: Tensor  # (S,) int64 cluster of each
    boxes: Tensor  # (S, 4) float32 x1, y1, x2, y2 of each, in fractions of the image


class ClusterSegmentor(EncoderDecoder):
    """Backbone, neck and a :class:`mmseg_unsup.ClusterHead`; predicts several sets of clusters and the maps of probes.

    A method derives from it and writes ``loss``.

    Args:
        test_cfg: ``cluster_sets``: names of the sets to predict; ``pred_sem_seg`` is of the first one, and each also
            gives ``pred_sem_seg_<set>``. ``crf``: set -> settings of :func:`build_crf`, which also predicts
            ``pred_sem_seg_<set>_crf``. ``refine``: settings of the :class:`Refinement` of maps, see
            :meth:`winners`; None for maps as the scores say. ``scales`` and ``flip``: predict with the mean of the
            features of copies of an image, see :func:`averaged_maps`; clusters are fitted to images as they are.

    Attributes:
        target_generator (Module): gives the targets of the training, such as a :class:`mmseg_unsup.PrototypeTeacher`,
            and may predict in place of what trains; None of a method without one.
        levels (list): of :class:`Level`: the sets that are trained and predict, and those that only train.
        probes (list): fitted :class:`mmseg_unsup.evaluation.probes.Probe`; set by :class:`mmseg_unsup.ProbeHook`, in no
            checkpoint.

    Raises:
        ImportError: a backbone of mmpretrain, which cannot be imported.
        ValueError: an unknown key of ``test_cfg``; ``scales`` are no positive numbers.
    """

    # keys of test_cfg
    test_settings: Tuple[str, ...] = ('mode', 'stride', 'crop_size', 'cluster_sets', 'crf', 'refine', 'scales', 'flip')
    # its checkpoints have seen no more labels than the weights it started from (InitializationHook)
    uses_labels = False
    # the loss needs other images in the batch
    compares_images = False
    # the id of what lies outside all that is clustered
    background_cluster: Optional[int] = None
    # makes the context of passes without gradient, see PrecisionHook
    no_grad_context: Callable[[], ContextManager] = nullcontext
    # of the crop on feature maps of views, see `functional.warp`
    rounding: Optional[str] = None

    def __init__(self, backbone: dict, *args, **kwargs) -> None:
        check_backbone(backbone['type'])
        super().__init__(backbone, *args, **kwargs)
        self.target_generator, self.levels, self.probes = None, [], []
        self._is_started = False
        prediction = self.test_cfg or {}
        for name in set(prediction) - {*self.test_settings}:
            raise ValueError(f'model.test_cfg has no setting {name!r}{advice(name, self.test_settings)}')
        self._scales, self._flip = prediction.get('scales') or (1, ), bool(prediction.get('flip'))
        check_scales(self._scales)
        self._crfs = {name: build_crf(**(settings or {})) for name, settings in (prediction.get('crf') or {}).items()}
        settings = refine_settings(prediction.get('refine'))
        if settings is not None:  # what cannot be must fail now
            Refinement(**settings)
        self._told_of_fallback = False
        self.to(memory_format=torch.channels_last)  # as the data come; convolutions on CPU and bfloat16 GPU are faster

    def init_weights(self) -> None:
        with quiet_init_weights(self):
            super().init_weights()
            check_stock_initialization(self.backbone, strict=True)

    def start(self, is_new: bool) -> None:
        """Prepare for the first step, or for an evaluation of untrained weights.

        Args:
            is_new: nothing was trained so far: what follows the weights becomes a copy of them.
        """
        if is_new and self.target_generator is not None:
            self.target_generator.copy(self)
        self._is_started = True

    def follow(self, steps_per_epoch: float) -> None:
        """After a step of the optimiser, move what follows the weights."""
        if self.target_generator is not None:
            self.target_generator.follow(self, steps_per_epoch)

    def forward(self, inputs, data_samples: Optional[list] = None, mode: str = 'tensor'):
        """As mmseg's; a training step is refused where it would learn nothing, see :meth:`check_ready`."""
        if mode == 'loss':
            self.check_ready()
        return super().forward(inputs, data_samples, mode)

    def check_ready(self) -> None:
        """Raise RuntimeError if a hook is missing that the targets of the training come from."""
        if self.target_generator is not None:
            self.check_started()
            self.target_generator.check_fitted()

    def check_started(self) -> None:
        """Raise RuntimeError if nothing moves what follows the weights."""
        if not self._is_started:
            raise RuntimeError('the teacher was not started and would stay as it is: add teacher=dict(type='
                               "'mmseg_unsup.TeacherHook') to default_hooks, or outside a runner call start() once and "
                               'follow() after every optimiser step')

    def restart(self, generator: torch.Generator) -> List[nn.Parameter]:
        """After a clustering: initialise anew what depended on the old clusters, and return those parameters."""
        return []

    @property
    def cfg(self) -> Config:
        """What ``init_model`` or ``MMSegInferencer`` of ``mmseg.apis`` built the model from; made fit for them."""
        return self._cfg

    @cfg.setter
    def cfg(self, cfg: Config) -> None:
        adapt_to_mmseg(cfg)
        self._cfg = cfg

    @property
    def dataset_meta(self) -> dict:
        """Names and colours of ``pred_sem_seg`` for ``mmseg.apis``, which sets those of the training data in their
        place: clusters are no classes.

        Raises:
            RuntimeError: the clusters have not been fitted.
        """
        names = ClusterNames.identity(*self.cluster_identity(), self.background_cluster)
        return dict(classes=names.names, palette=names.palette.tolist())

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        """Keeps nothing."""

    # the clusters

    @property
    def clusters(self) -> ClusterSets:
        """All sets, by name; probes must not have one of these names."""
        return self.decode_head.clusters

    @property
    def predicted_sets(self) -> List[str]:
        """Names of the sets that it predicts: ``test_cfg.cluster_sets``, or the one that plain prediction uses. A
        checkpoint from inside an epoch or from between two evaluations has no fresh prototypes; what the training had
        fitted predicts in their place."""
        asked = (self.test_cfg or {}).get('cluster_sets')
        names = self.clusters.usable(asked)
        if asked and set(asked) - set(names) and not self._told_of_fallback:
            self._told_of_fallback = True
            say(f'the weights have no clusters of a fresh k-means, which an evaluation makes: those of the training '
                f'predict, {", ".join(names)}', logging.WARNING)
        return names

    @property
    def crfs(self) -> Dict[str, Callable]:
        """Those of ``test_cfg.crf``, by the set that they refine.

        Raises:
            ValueError: one is for a set that is never predicted.
        """
        names = self._possible_sets
        for name in self._crfs:
            if name not in names:
                raise ValueError(f'model.test_cfg.crf names the set {name!r}, but those that are predicted are {names}'
                                 ': name one of these, or add it to model.test_cfg.cluster_sets')
        return self._crfs

    @property
    def _possible_sets(self) -> List[str]:
        return (self.test_cfg or {}).get('cluster_sets') or list(self.clusters)

    @property
    def predictions(self) -> List[str]:
        """What ``pred_sem_seg_<name>`` there are beside those of probes: the predicted sets, and those after a CRF."""
        return self._with_crfs(self.predicted_sets)

    @property
    def possible_predictions(self) -> List[str]:
        """What :attr:`predictions` may be once all sets are fitted."""
        return self._with_crfs(self._possible_sets)

    def _with_crfs(self, sets: List[str]) -> List[str]:
        return [*sets, *(f'{name}_crf' for name in sets if name in self.crfs)]

    @property
    def refine_settings(self) -> Optional[dict]:
        """Settings of :class:`Refinement` by ``test_cfg.refine``; None for none. Without a temperature in it, scores
        that are logits have 1, others the one that :class:`Refinement` finds."""
        settings = (self.test_cfg or {}).get('refine')
        if settings is None:  # which sets are fitted is asked last: the answer of a GPU takes time
            return None
        temperature = 1. if self.clusters[self.predicted_sets[0]].scores_are_logits else None
        return refine_settings(settings, temperature=temperature)

    @property
    def refinement(self) -> Optional[Refinement]:
        """What refines maps of the first predicted set; None where nothing does."""
        settings = self.refine_settings
        return None if settings is None else Refinement(**settings)

    @property
    def n_predicted(self) -> int:
        """Number of ids that ``pred_sem_seg`` can have."""
        return self.clusters[self.predicted_sets[0]].n_clusters

    def cluster_tensors(self) -> List[Tensor]:
        """Tensors that tell the clusters of ``pred_sem_seg`` from each other.

        Raises:
            RuntimeError: the clusters have not been fitted.
        """
        return self.clusters.fitted(self.predicted_sets[0]).tensors()

    @property
    def cluster_centers(self) -> Optional[Tensor]:
        """(K, D) centres of those clusters among the features of :meth:`assignments`, where they have such."""
        return self.clusters[self.predicted_sets[0]].centers

    def cluster_identity(self) -> Tuple[str, int, str]:
        """Set, number and fingerprint of the clusters that ``pred_sem_seg`` shows, see
        :class:`mmseg_unsup.apis.ClusterNames`."""
        return self.predicted_sets[0], self.n_predicted, fingerprint(self.cluster_tensors())

    # the features

    @property
    def feature_parts(self) -> Tuple[str, ...]:
        """Prefixes of the tensors that the features are made of."""
        return ('target_generator.', ) if self._teacher_predicts else ('backbone.', 'neck.')

    @property
    def _teacher_predicts(self) -> bool:
        return getattr(self.target_generator, 'predicts', False)

    def predicting_feat(self, images: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> maps (N, C, h, w) of the network that predicts: the teacher if it is an average of weights,
        else the one that trains, whose features :meth:`extract_feat` gives."""
        with self.no_grad_precision():
            return self.target_generator.extract(images) if self._teacher_predicts else self.extract_feat(images)

    def averaged_feat(self, images: Tensor) -> Tuple[Tensor, ...]:
        """The maps that images are predicted with: :meth:`predicting_feat`, or its mean over the copies of
        ``test_cfg``. What is fitted reads images as they are."""
        return averaged_maps(self.predicting_feat, images, self._scales, self._flip)

    def no_grad_precision(self) -> ContextManager:
        """What the network runs in where no gradient is wanted."""
        return nullcontext() if torch.is_grad_enabled() else self.no_grad_context()

    def student_map(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> the (N, C, h, w) features that train."""
        return self.extract_feat(images)[self.decode_head.in_index]

    def predicting_map(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> the (N, C, h, w) features that are clustered and predicted with."""
        return self.predicting_feat(images)[self.decode_head.in_index]

    def view_feats(self, views: List[Tensor], data_samples: list) -> List[Tensor]:
        """V image batches -> V maps (N, C, h, w) of unit length on the grid of the first view, of the network that
        predicts. Batch norm that uses the statistics of the batch sees one view after the other."""
        maps = view_features(self.predicting_map, views, data_samples, self.rounding, apart=self.training)
        return [unit(feats) for feats in maps]

    @property
    def probe_channels(self) -> Dict[str, int]:
        """Names of the feature maps that probes can read, and their channels; the first is the default."""
        return dict(features=self.decode_head.in_channels)

    def forward_maps(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> ForwardMaps:
        """(N, 3, H, W) normalised images -> what fits and probes read, in one pass of the network.

        The features are the finished ones, of unit length; segments are connected cells of one cluster of the first
        predicted set.

        Args:
            metas: of the images, for what is known of some of them beside their pixels.
        """
        return self._maps(self.predicting_feat(inputs))

    def _maps(self, outputs: Tuple[Tensor, ...]) -> ForwardMaps:
        feats = unit(outputs[self.decode_head.in_index])
        return ForwardMaps(
            dict(features=feats),
            lambda: connected_segments(self.decode_head(outputs, self.predicted_sets[:1]).argmax(1)))

    # the prediction

    def _forward(self, inputs: Tensor, data_samples: Optional[list] = None) -> Tensor:
        return self.decode_head(self.averaged_feat(inputs))

    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        return self.decode_head.predict(self.averaged_feat(inputs), batch_img_metas, self.test_cfg)

    def cluster_scores(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> Tensor:
        """(N, 3, H, W) normalised images -> (N, K, h, w) scores of the clusters of ``pred_sem_seg`` on the feature
        grid; enlarged bilinearly, the largest wins. Of prototypes they are ``f.mu - |mu|^2 / 2``, that is
        ``(1 - d^2) / 2`` with the distance d between unit feature and prototype, of a classifier its logits.

        Args:
            metas: see :meth:`forward_maps`.
        """
        outputs, kind = self.averaged_feat(inputs), inputs.device.type
        # the winner of near ones hangs on digits that mixed precision drops; exporters meet no such context
        with torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext():
            return self.decode_head(outputs, self.predicted_sets[:1])

    def winners(self, scores: Tensor, img_meta: dict, image: Optional[np.ndarray]) -> Tuple[Tensor, Tensor]:
        """(K, h, w) :meth:`cluster_scores` of an image (H, W, 3) uint8 RGB -> (H, W) int16 clusters, refined as
        ``test_cfg.refine`` says, and (H, W) their scores; None for an image leaves them as they are."""
        refinement = self.refinement
        if refinement is None or image is None:
            return winner_map(scores, img_meta, self.align_corners)
        meta = dict(img_meta, ori_shape=refinement.grid(image.shape[:2]))
        return refinement.winners(image, to_image_size(scores, meta, self.align_corners))

    @torch.no_grad()
    def assignments(self, inputs: Tensor, img_meta: dict, image: Optional[np.ndarray] = None) -> Assignments:
        """(1, 3, H, W) normalised image -> its map, and what it was decided by: the cells of the feature map.

        Memory does not grow with the number of clusters times the size of the file.

        Args:
            image: (H, W, 3) uint8 RGB, for :meth:`winners`.
        """
        outputs = self.averaged_feat(inputs)
        scores = self.decode_head(outputs, self.predicted_sets[:1])[0]
        feats = F.normalize(outputs[self.decode_head.in_index][0].float(), dim=0)
        return Assignments(
            self.winners(scores, img_meta, image)[0], feats.flatten(1).t(), scores.argmax(0).flatten(),
            _cell_boxes(*scores.shape[1:]).to(feats))

    def predict(self, inputs: Tensor, data_samples: Optional[list] = None) -> list:
        """Predict the sets of clusters and, as ``pred_sem_seg_<set>`` alone, the probes and what a CRF makes of a set;
        one pass of the backbone.

        Raises:
            ValueError: probes or a CRF in slide mode.
        """
        # which sets, and so how many channels, is known only once they are fitted
        self.out_channels = sum(self.clusters[name].n_clusters for name in self.predicted_sets)
        if not self.probes and not self.crfs:
            return super().predict(inputs, data_samples)
        self._check_whole()
        feats = self.averaged_feat(inputs)
        logits = self.decode_head.predict(feats, [sample.metainfo for sample in data_samples], self.test_cfg)
        data_samples = self.postprocess_result(logits, data_samples)
        for name, block in self._blocks(logits).items():
            if name in self.crfs:
                for image, scores, sample in zip(inputs, block, data_samples):
                    self._set_map(sample, f'{name}_crf', self._refine(self.crfs[name], image, scores))
        self.predict_probes(self._maps(feats), inputs, data_samples)
        return data_samples

    def _check_whole(self) -> None:
        mode = (self.test_cfg or {}).get('mode', 'whole')
        if mode != 'whole':
            raise ValueError(f"probes and CRFs need whole images: set model.test_cfg.mode='whole', not {mode!r}")

    def _blocks(self, logits: Tensor) -> Dict[str, Tensor]:
        """Set -> its (N, K, H, W) part of the scores."""
        names = self.predicted_sets
        return dict(zip(names, logits.split([self.clusters[name].n_clusters for name in names], dim=1)))

    def postprocess_result(self, seg_logits: Tensor, data_samples: Optional[list] = None) -> list:
        """One prediction per set of clusters.

        ``pred_sem_seg`` and ``seg_logits`` are of the first predicted set; each also leaves ``pred_sem_seg_<set>``.
        """
        for name, block in reversed(self._blocks(seg_logits).items()):  # the first set is written last and stays
            data_samples = super().postprocess_result(block, data_samples)
            for sample in data_samples:
                sample.set_data({f'pred_sem_seg_{name}': PixelData(data=sample.pred_sem_seg.data)})
                sample.set_metainfo(dict(n_clusters=block.size(1)))
        identity = self.cluster_identity()
        for sample in data_samples:
            sample.set_metainfo(dict(cluster_identity=identity))
        return data_samples

    @property
    def probes_need_segments(self) -> bool:
        return any(probe.needs_segments for probe in self.probes)

    def predict_probes(self, read: ForwardMaps, inputs: Tensor, data_samples: list) -> None:
        """Set ``pred_sem_seg_<set>`` of every probe, image by image: there may be many clusters.

        Args:
            inputs: (N, 3, H, W), for a probe with a CRF.
        """
        segments = read.segments() if self.probes_need_segments else None
        for probe in self.probes:
            feats = read.feats[probe.features or next(iter(read.feats))]
            for r, name in enumerate(probe.fitted_sets):
                for i, (scores, sample) in enumerate(zip(probe.scores(feats, r, segments), data_samples)):
                    self._set_map(sample, name, scores)
                    if probe.crf is not None:
                        self._set_map(sample, probe.refined_sets[r], self._refine(probe.crf, inputs[i], scores))

    def _set_map(self, sample, name: str, scores: Tensor) -> None:
        """Write the winners of (K, h, w) scores as a prediction."""
        data = class_map(scores, sample.metainfo, self.align_corners)[None]
        sample.set_data({f'pred_sem_seg_{name}': PixelData(data=data)})

    def _refine(self, crf: Callable, image: Tensor, scores: Tensor) -> Tensor:
        """(3, H, W) normalised image, (K, h, w) scores -> (K, H, W) probabilities of the CRF."""
        scores = F.interpolate(scores[None], image.shape[1:], mode='bilinear', align_corners=self.align_corners)[0]
        return torch.from_numpy(crf(self.rgb_image(image), scores.cpu().numpy())).to(scores.device)

    def rgb_image(self, image: Tensor) -> np.ndarray:
        """(3, H, W) normalised image -> (H, W, 3) uint8."""
        preprocessor = self.data_preprocessor
        if preprocessor._enable_normalize:
            image = image * preprocessor.std + preprocessor.mean
        return image.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        own = {key: state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}
        state_dict.update(renamed_state(own, prefix))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _cell_boxes(height: int, width: int) -> Tensor:
    """(height * width, 4) boxes of the cells of a grid, in fractions of it."""
    top, left = (index.flatten().float() for index in torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing='ij'))
    return torch.stack([left / width, top / height, (left + 1) / width, (top + 1) / height], 1)
