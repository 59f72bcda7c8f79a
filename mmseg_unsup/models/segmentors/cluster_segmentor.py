"""What all segmentors have that :class:`mmseg_unsup.ProbeHook` can measure."""
from abc import abstractmethod
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from torch import Tensor

from ...structures import ClusterNames
from ...utils.stack import check_mmpretrain
from ...utils.whole_images import adapt_to_mmseg
from ...functional import class_map, fingerprint


class ForwardMaps(NamedTuple):
    """Features of a batch of images."""
    feats: Dict[str, Tensor]  # (N, C, h, w) by the names of `probe_channels`
    segments: Callable[[], Tensor]  # makes the (N, h, w) ids of the segments of every image, -1 for none


class Assignments(NamedTuple):
    """The clusters of an image, and the cells or objects that were assigned to them."""
    clusters: Tensor  # (H, W) int16, of every pixel of the file
    feats: Tensor  # (S, D) float32 of unit length
    members: Tensor  # (S,) int64 cluster of each
    boxes: Tensor  # (S, 4) float32 x1, y1, x2, y2 of each, in fractions of the image


class ClusterSegmentor(EncoderDecoder):
    """Predicts the maps of fitted probes beside its own, from the same features.

    Attributes:
        probes (list): fitted :class:`mmseg_unsup.evaluation.probes.Probe`; set by :class:`mmseg_unsup.ProbeHook`, in no
            checkpoint.

    Raises:
        ImportError: a backbone of mmpretrain, which cannot be imported.
    """

    # its checkpoints have seen no more labels than the weights it started from (InitializationHook)
    uses_labels = False
    # the id of what lies outside all that is clustered
    background_cluster: Optional[int] = None

    def __init__(self, backbone: dict, *args, **kwargs) -> None:
        if str(backbone['type']).startswith('mmpretrain.'):
            check_mmpretrain(backbone['type'])
        super().__init__(backbone, *args, **kwargs)
        self.probes = []

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

    @property
    @abstractmethod
    def own_sets(self) -> List[str]:
        """Names of the sets that the model itself can predict, which probes must not have."""

    @property
    @abstractmethod
    def predicted_sets(self) -> List[str]:
        """Those of them that it does predict, as ``pred_sem_seg_<set>``."""

    @property
    @abstractmethod
    def n_predicted(self) -> int:
        """Number of ids that ``pred_sem_seg`` can have."""

    @abstractmethod
    def cluster_tensors(self) -> List[Tensor]:
        """Those that tell the clusters of ``pred_sem_seg`` from each other.

        Raises:
            RuntimeError: the clusters have not been fitted.
        """

    @abstractmethod
    def cluster_scores(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> Tensor:
        """(N, 3, H, W) normalised images -> (N, K, h, w) scores of the clusters of ``pred_sem_seg`` on the feature
        grid; enlarged bilinearly, the largest wins. Of prototypes they are ``f.mu - |mu|^2 / 2``, that is
        ``(1 - d^2) / 2`` with the distance d between unit feature and prototype, of a classifier its logits.

        Args:
            metas: of the images, for what is known of some of them beside their pixels.
        """

    def cluster_identity(self) -> Tuple[str, int, str]:
        """Set, number and fingerprint of the clusters that ``pred_sem_seg`` shows, see
        :class:`mmseg_unsup.apis.ClusterNames`."""
        return self.predicted_sets[0], self.n_predicted, fingerprint(self.cluster_tensors())

    @property
    def cluster_centers(self) -> Optional[Tensor]:
        """(K, D) centres of those clusters among the features of :meth:`assignments`, where they have such."""
        return None

    @abstractmethod
    def assignments(self, inputs: Tensor, img_meta: dict) -> Assignments:
        """(1, 3, H, W) normalised image -> what ``pred_sem_seg`` shows of it, and what it was decided by.

        Memory does not grow with the number of clusters times the size of the file.
        """

    @property
    def feature_parts(self) -> Tuple[str, ...]:
        """Prefixes of the tensors that the features are made of."""
        return 'backbone.', 'neck.'

    @property
    @abstractmethod
    def probe_channels(self) -> Dict[str, int]:
        """Names of the feature maps that probes can read, and their channels; the first is the default."""

    @abstractmethod
    def forward_maps(self, inputs: Tensor) -> ForwardMaps:
        """(N, 3, H, W) normalised images -> what probes read, in one pass of the network."""

    @property
    def probes_need_segments(self) -> bool:
        return any(probe.needs_segments for probe in self.probes)

    def predict_probes(self, read: ForwardMaps, inputs: Tensor, data_samples: list) -> None:
        """Set ``pred_sem_seg_<set>`` of every probe, image by image: there may be many clusters.

        Args:
            inputs: (N, 3, H, W), for a probe with a CRF.

        Raises:
            ValueError: slide mode.
        """
        if (self.test_cfg or {}).get('mode', 'whole') != 'whole':
            raise ValueError(f"probes need whole images: set model.test_cfg.mode='whole', not {self.test_cfg.mode!r}")
        segments = read.segments() if self.probes_need_segments else None
        for probe in self.probes:
            names = [probe.set_names[r::probe.repeats] for r in range(probe.repeats)]  # the set, and it after the CRF
            for r, of_set in enumerate(names):
                all_scores = probe.scores(read.feats[probe.features or next(iter(read.feats))], r, segments)
                for i, (scores, sample) in enumerate(zip(all_scores, data_samples)):
                    stages = [scores] if probe.crf is None else [scores, self._refine(probe.crf, inputs[i], scores)]
                    for name, stage in zip(of_set, stages):
                        data = class_map(stage, sample.metainfo, self.align_corners)[None]
                        sample.set_data({f'pred_sem_seg_{name}': PixelData(data=data)})

    def rgb_image(self, image: Tensor) -> np.ndarray:
        """(3, H, W) normalised image -> (H, W, 3) uint8."""
        preprocessor = self.data_preprocessor
        if preprocessor._enable_normalize:
            image = image * preprocessor.std + preprocessor.mean
        return image.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()

    def _refine(self, crf, image: Tensor, scores: Tensor) -> Tensor:
        """(3, H, W) normalised image, (K, h, w) scores -> (K, H, W) probabilities of the CRF."""
        scores = F.interpolate(scores[None], image.shape[1:], mode='bilinear', align_corners=self.align_corners)[0]
        return torch.from_numpy(crf(self.rgb_image(image), scores.cpu().numpy())).to(scores.device)
