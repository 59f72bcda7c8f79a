"""What priors share that look at the features of a frozen network."""
from typing import Any, Callable, Dict, Optional, Sequence, Union

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope

from ..functional.crf import build_crf
from ..registry import MODELS
from ..utils.checks import is_finite
from .base import Prior

# that load weights; others draw them
_INITS = ('Pretrained', 'mmseg_unsup.PretrainedBackbone')
_REMEDY = 'set backbone to the network of the file, or name the file of this network'
MAX_CELLS = 80**2  # the time of an exact cut goes with the cube: half a minute on one core
_MULTIPLE = 16  # pixels that the sides of an image are a multiple of, unless a network has a patch size
# the last two stages at stride 16
_RESNET = dict(type='ResNet', depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), out_indices=(2, 3))


class FeaturePrior(Prior):
    """A prior that sees an image as the features of a frozen network.

    With a backbone trained on labels the masks, and what is trained on them, are not label-free; ``weights_labels``
    says so in the record.

    Args:
        backbone: config of a backbone of mmseg, mmpretrain or this package with
            ``init_cfg=dict(type='Pretrained', checkpoint=...)``, best the one that training starts from. Without a
            ``type`` it is a ResNet, of depth 50 unless it says so, with the last stage dilated.
        out: names or positions of its outputs, as of :class:`mmseg_unsup.FrozenBackbone`, such as ``'keys'`` of a
            transformer; None for its maps. Several are concatenated, so their strides must agree.
        center: take the mean over the image away, so that cosines tell its parts apart. Features that no ReLU has made
            positive, such as the keys of a transformer, do without.
        weights_labels: which labels the weights have seen, such as 'none' or 'ImageNet labels'.
        image_side: pixels of the longer side at which the backbone sees the image.
        mean, std: of RGB 0..255, as the weights expect it.
        to_rgb: False for weights that take BGR.
        **kwargs: of :class:`Prior`.

    Attributes:
        cell (int): pixels of a side of a cell.
        of_transformer (Dict[str, Any]): options that the command sets where ``--weights`` is a file of DINO, DINOv2 or
            DINOv3, as published: keys of the last block, as they are.

    Raises:
        ValueError: an option out of its range; a backbone without weights, or whose file lacks tensors, or whose
            outputs are no maps of one size.
    """
    of_transformer: Dict[str, Any] = dict(out='keys', center=False)

    def __init__(self,
                 backbone: dict,
                 out: Union[str, int, Sequence[Union[str, int]], None] = None,
                 center: bool = True,
                 weights_labels: str = 'unknown',
                 image_side: int = 400,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 to_rgb: bool = True,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.backbone = dict(backbone) if 'type' in backbone else dict(_RESNET, **backbone)
        self.out, self.center, self.weights_labels, self.image_side = out, center, weights_labels, image_side
        self.mean, self.std, self.to_rgb = mean, std, to_rgb
        self.labels = weights_labels
        self._network = load_backbone(self.backbone, out)
        patch = getattr(self._network.network, 'patch_size', _MULTIPLE)
        self._multiple = patch if isinstance(patch, int) else _MULTIPLE
        self.cell = cell_size(self._network, self._multiple, type(self).__name__)
        if isinstance(image_side, bool) or not isinstance(image_side, int) or image_side < 4 * self.cell:
            raise ValueError(f'image_side={image_side!r} of {type(self).__name__} must be a whole number of at least '
                             f'four cells of its network, {4 * self.cell} pixels')
        if (image_side // self.cell)**2 > MAX_CELLS:
            raise ValueError(f'image_side={image_side} of {type(self).__name__} gives up to '
                             f'{(image_side // self.cell)**2} cells of {self.cell} pixels, and all pairs of them are '
                             f'looked at: give at most {int(MAX_CELLS**0.5) * self.cell}')

    def features(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (C, h, w) float32, of at least two cells a side."""
        with torch.no_grad():
            maps = [output[0].float().numpy() for output in self._network(torch.from_numpy(self._pixels(image)))]
        if self.center:
            maps = [center(feats) for feats in maps]
        elif len(maps) > 1:
            maps = [unit_cells(feats) for feats in maps]
        return np.concatenate(maps)

    def describe(self) -> Dict[str, Any]:
        """As of :class:`Prior`, with the identity of the weights."""
        return dict(super().describe(), weights=self._network.fingerprint)

    def _pixels(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (1, 3, H', W') float32 as the network takes it."""
        scale = self.image_side / max(image.shape[:2])
        height, width = (max(2 * self.cell, round(side * scale / self._multiple) * self._multiple)
                         for side in image.shape[:2])
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        pixels = (resized - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        pixels = pixels if self.to_rgb else pixels[..., ::-1]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def check_affinity_threshold(prior: FeaturePrior) -> None:
    """Raise ValueError for an ``affinity_threshold`` that no cosine exceeds, or that all do."""
    if not is_finite(prior.affinity_threshold) or not -1 <= prior.affinity_threshold < 1:
        raise ValueError(f'affinity_threshold={prior.affinity_threshold!r} of {type(prior).__name__} is a cosine: give '
                         'a number from -1 to less than 1')


def segment_map(scores: np.ndarray, image: np.ndarray, crf: Optional[Callable]) -> np.ndarray:
    """(K, h, w) scores, (H, W, 3) uint8 RGB -> (H, W) int64 index of the largest, of scores enlarged bilinearly and, if
    there is one, smoothed by a CRF."""
    batch = torch.from_numpy(scores)[None].float()
    enlarged = F.interpolate(batch, image.shape[:2], mode='bilinear', align_corners=False)[0].numpy()
    return (enlarged if crf is None else crf(image, enlarged)).argmax(0)


def make_crf(prior: FeaturePrior, **settings: float) -> Optional[Callable]:
    """What ``refine`` of a prior of segments names; ValueError where there is no such thing."""
    if prior.refine not in ('crf', None):
        raise ValueError(f"refine={prior.refine!r} of {type(prior).__name__}: give 'crf' or None")
    return build_crf(**settings) if prior.refine else None


def center(feats: np.ndarray) -> np.ndarray:
    """(C, h, w) -> the same, the mean over the image taken away, cells of unit length."""
    return unit_cells(feats - feats.mean((1, 2), keepdims=True))


def unit_cells(feats: np.ndarray) -> np.ndarray:
    """(C, h, w) -> the same with cells of unit length."""
    return feats / np.maximum(np.linalg.norm(feats, axis=0), 1e-6)


def cell_size(network: torch.nn.Module, multiple: int, owner: str) -> int:
    """Pixels of a side of a cell of the outputs of a frozen network; ValueError unless they are maps of one size."""
    height, width = 4 * multiple, 6 * multiple
    with torch.no_grad():
        shapes = [tuple(output.shape) for output in network(torch.zeros(1, 3, height, width))]
    if any(len(shape) != 4 or shape[2] * width != shape[3] * height or height % shape[2] for shape in shapes):
        raise ValueError(f'the outputs of the network of {owner} have the shapes {shapes} for an image of '
                         f'{width}x{height} pixels: choose maps of features by out or out_indices')
    if len({shape[2:] for shape in shapes}) > 1:
        raise ValueError(f'the outputs of the network of {owner} have the sizes {[shape[2:] for shape in shapes]}: '
                         'choose some of one stride by out or out_indices, or dilate the last ones')
    return height // shapes[0][2]


def load_backbone(config: dict, out: Union[str, int, Sequence[Union[str, int]], None] = None) -> torch.nn.Module:
    """Build a frozen backbone with its weights; ValueError if it would lack some, or has no such output."""
    from ..weights import read_part
    init_cfg = config.get('init_cfg') or {}
    if not isinstance(init_cfg, dict) or init_cfg.get('type') not in _INITS:
        raise ValueError(f'the backbone {config.get("type")!r} of a prior has no weights: set '
                         "init_cfg=dict(type='Pretrained', checkpoint=...)")
    with DefaultScope.overwrite_default_scope('mmseg'):
        frozen = MODELS.build(dict(type='mmseg_unsup.FrozenBackbone', backbone=dict(config), out=out))
        try:
            frozen.init_weights()
        except (IndexError, KeyError, RuntimeError) as error:  # of a network that converts names by itself
            read_part(init_cfg['checkpoint'])  # which says what is wrong with the file alone
            reason = str(error).strip().splitlines()[-1].strip('. \t')[:200]
            raise ValueError(f'{init_cfg["checkpoint"]} does not fit the backbone {config["type"]} ({reason}): '
                             f'{_REMEDY}') from None
    if not hasattr(frozen.network, 'initialization'):
        check_own_initialization(frozen.network, init_cfg['checkpoint'])
    return frozen


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
