"""Saliency by a normalised cut of the features of a backbone."""
from typing import Optional, Sequence

import cv2
import numpy as np
import torch
from mmengine.registry import DefaultScope
from scipy.sparse.linalg import eigsh

from ..registry import MODELS, PRIORS
from ..utils.random import keyed_generator
from .base import Prior, enlarge, rescale
from .grabcut import check_refine, refine_by_grabcut

# that load weights; others draw them
_INITS = ('Pretrained', 'mmseg_unsup.PretrainedBackbone')
_REMEDY = 'set backbone of SpectralPrior to the network of the file, or name the file of this network'
# Affinity of cells that are not alike: without it the graph falls apart.
_WEAK = 1e-5
_MULTIPLE = 16
# the last two stages at stride 16
_RESNET = dict(type='ResNet', depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), out_indices=(2, 3))


@PRIORS.register_module()
class SpectralPrior(Prior):
    """The side of the normalised cut that touches the border less, averaged with the map of another prior.

    Colour knows edges, features know objects: the two fail on different images. With a backbone trained on labels the
    masks, and what is trained on them, are not label-free; ``weights_labels`` says so in the record.

    Args:
        backbone: config of a backbone of mmseg or mmpretrain with ``init_cfg=dict(type='Pretrained', checkpoint=...)``,
            best the one that training starts from. Its stages are concatenated, each of unit length, so their strides
            must agree. Without a ``type`` it is a ResNet, of depth 50 unless it says so, with the last stage dilated.
        weights_labels: which labels the weights have seen, such as 'none' or 'ImageNet labels'.
        image_side: pixels of the longer side at which the backbone sees the image.
        affinity_threshold: cosine of centred features from which two cells belong together.
        fusion_weight: of the cut, from 0 to 1; the rest is that of ``fused_with``.
        fused_with: config of the other prior.
        refine, refine_side: as of :class:`mmseg_unsup.RBDPrior`, of the sum.
        mean, std: of RGB 0..255, as the weights expect it.
        to_rgb: False for weights that take BGR.
        **kwargs: of :class:`Prior`.

    Source: the cut is that of TokenCut (Wang et al., CVPR 2022, section 3.2), on features centred per image, with the
    side chosen by its contact with the border.

    Raises:
        ValueError: an option out of its range; a backbone without weights, or whose file lacks tensors; at use, stages
            of several sizes.
    """

    def __init__(self,
                 backbone: dict,
                 weights_labels: str = 'unknown',
                 image_side: int = 400,
                 affinity_threshold: float = 0.,
                 fusion_weight: float = 0.4,
                 fused_with: dict = dict(type='mmseg_unsup.RBDPrior', refine=None),
                 refine: Optional[str] = 'grabcut',
                 refine_side: int = 200,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 to_rgb: bool = True,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.backbone = dict(backbone) if 'type' in backbone else dict(_RESNET, **backbone)
        self.weights_labels, self.image_side = weights_labels, image_side
        self.affinity_threshold, self.fusion_weight, self.fused_with = affinity_threshold, fusion_weight, fused_with
        self.refine, self.refine_side = refine, refine_side
        self.mean, self.std, self.to_rgb = mean, std, to_rgb
        check_refine(self)
        if not 0 <= fusion_weight <= 1 or not -1 <= affinity_threshold < 1 or image_side < 64:
            raise ValueError(f'fusion_weight={fusion_weight} of SpectralPrior must be in 0 to 1, affinity_threshold='
                             f'{affinity_threshold} in -1 to less than 1, and image_side={image_side} at least 64')
        self.labels = weights_labels
        self._backbone = load_backbone(self.backbone)
        self._other = PRIORS.build(dict(fused_with)) if fusion_weight < 1 else None

    def saliency(self, image: np.ndarray, stem: Optional[str] = None) -> np.ndarray:
        """The map of the cut, as :meth:`Prior.saliency`."""
        saliency = enlarge(cut_map(self._features(image), self.affinity_threshold), image.shape)
        if self._other is not None:
            saliency = self.fusion_weight * saliency + (1 - self.fusion_weight) * self._other.saliency(image, stem)
        saliency = saliency.astype(np.float32)
        return refine_by_grabcut(image, saliency, self.refine_side) if self.refine else saliency

    @torch.no_grad()
    def _features(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (C, h, w) float32."""
        scale = self.image_side / max(image.shape[:2])
        height, width = (max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in image.shape[:2])
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        pixels = (resized - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        pixels = pixels if self.to_rgb else pixels[..., ::-1]
        stages = self._backbone(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)))
        stages = [stage[0].numpy() for stage in (stages if isinstance(stages, (tuple, list)) else [stages])]
        if len({stage.shape[1:] for stage in stages}) > 1:
            raise ValueError(f'the stages of the backbone {self.backbone["type"]} have the sizes '
                             f'{[stage.shape[1:] for stage in stages]}: choose stages of one stride by out_indices, or '
                             'dilate the last ones')
        return np.concatenate([center(stage) for stage in stages])


def load_backbone(config: dict) -> torch.nn.Module:
    """Build a backbone with its weights, ready to extract features; ValueError if it would lack some."""
    from ..weights import check_stock_initialization, quiet_init_weights, read_part
    init_cfg = config.get('init_cfg') or {}
    if not isinstance(init_cfg, dict) or init_cfg.get('type') not in _INITS:
        raise ValueError(f'the backbone {config.get("type")!r} of SpectralPrior has no weights: set '
                         "init_cfg=dict(type='Pretrained', checkpoint=...)")
    with DefaultScope.overwrite_default_scope('mmseg'):
        backbone = MODELS.build(dict(config))
    try:
        with quiet_init_weights(backbone):
            backbone.init_weights()
            check_stock_initialization(backbone, strict=True)
    except (IndexError, KeyError, RuntimeError) as error:  # of a network that converts names by itself
        read_part(init_cfg['checkpoint'])  # which says what is wrong with the file alone
        reason = str(error).strip().splitlines()[-1].strip('. \t')[:200]
        raise ValueError(f'{init_cfg["checkpoint"]} does not fit the backbone {config["type"]} ({reason}): {_REMEDY}'
                         ) from None
    if not hasattr(backbone, 'initialization'):
        check_own_initialization(backbone, init_cfg['checkpoint'])
    backbone.eval()  # not chained: that of mmseg's ResNet returns nothing
    return backbone


def check_own_initialization(backbone: torch.nn.Module, checkpoint: str) -> None:
    """Raise ValueError if less than half of the parameters of a network that converts names by itself are in the file,
    under whatever names; some need not be, as position embeddings are interpolated."""
    from ..functional import fingerprint
    from ..weights import read_part
    known = {fingerprint([value]) for value in read_part(checkpoint, prefix='').state.values()}
    found = [fingerprint([value]) in known for value in backbone.parameters()]
    if sum(found) < len(found) / 2:
        raise ValueError(f'only {sum(found)} of the {len(found)} parameters of {type(backbone).__name__} are in '
                         f'{checkpoint}, so its masks would be those of a random network: {_REMEDY}')


def center(feats: np.ndarray) -> np.ndarray:
    """(C, h, w) -> the same, the mean over the image taken away, cells of unit length."""
    centered = feats - feats.mean((1, 2), keepdims=True)
    return centered / np.maximum(np.linalg.norm(centered, axis=0), 1e-6)


def normalized_cut(feats: np.ndarray, threshold: float) -> np.ndarray:
    """(C, h, w) centred features -> (h, w) second generalised eigenvector y of ``(D - W) y = lambda D y``.

    W is 1 where the cosine of two cells is above the threshold, and almost 0 elsewhere. The sign is arbitrary.
    """
    rows = feats.reshape(len(feats), -1).T
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    affinity = np.where(rows @ rows.T > threshold, 1., _WEAK)
    np.fill_diagonal(affinity, 1)
    root = np.sqrt(affinity.sum(1))
    normalized = affinity / (root[:, None] * root)
    start = keyed_generator(0).normal(size=len(rows))
    values, vectors = eigsh(normalized, k=2, which='LA', v0=start)
    return (vectors[:, values.argmin()] / root).reshape(feats.shape[1:])


def cut_map(feats: np.ndarray, threshold: float) -> np.ndarray:
    """(C, h, w) centred features -> (h, w) in 0..1, 1 on the side of the cut that touches the border less.

    The contact of a side is the number of its cells on the border over the square root of all its cells.
    """
    vector = normalized_cut(feats, threshold)
    side = vector > vector.mean()
    inner = np.zeros_like(side)
    inner[1:-1, 1:-1] = True
    contacts = [(part & ~inner).sum() / np.sqrt(max(part.sum(), 1)) for part in (side, ~side)]
    return rescale(vector if contacts[0] < contacts[1] else -vector)
