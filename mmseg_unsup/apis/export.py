"""A trained model as one file that runs without this package."""
import inspect
import io
import json
import os
import os.path as osp
import time
import warnings
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmengine.config import Config
from torch import Tensor, nn

from ..datasets.image_files import check_folder, find_images
from ..datasets.pictures import read_rgb
from ..models.backbones import frozen_networks
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..models.segmentors.object_segmentor import ObjectSegmentor
from ..registry import DATASETS
from ..structures import ClusterNames
from ..utils.atomic import replacing, write_from_memory
from ..utils.progress import track_progress
from ..utils.whole_images import whole_image_pipeline
from .image_input import check_fits
from .loading import load_segmentor

SUFFIXES = {'.onnx': 'ONNX', '.ts': 'TorchScript', '.pt2': 'torch.export'}
OPSETS = range(11, 21)  # what the exporter writes that needs no further packages
DEFAULT_OPSET = 17
LEAST_EQUAL = 0.999
INPUT, OUTPUTS = 'image', ('ids', 'similarity')
_SMALLEST_SIDE = 64  # pixels, of torch.export
_ONNX_BYTES = 2**31  # what a protocol buffer holds
_DECODED_BYTES = 12  # per pixel of an image that is read and resized
_REMEDY = 'give a folder of some by --images'

# (N, 3, H, W) float32 RGB images -> (N, H, W) ids, (N, H, W) scores
Predict = Callable[[np.ndarray], Tuple[np.ndarray, np.ndarray]]


class ExportedSegmentor(nn.Module):
    """Normalisation, network and clusters in one module without choices that depend on values.

    Args:
        model: in eval mode, on CPU.
        names: makes the output ids of classes instead of clusters.

    Raises:
        ValueError: the model does more than a network can: connected components, or a prior.
    """

    def __init__(self, model: ClusterSegmentor, names: Optional[ClusterNames] = None) -> None:
        super().__init__()
        if isinstance(model, ObjectSegmentor) and (model.test_cfg.objects != 'image' or model.prior is not None):
            key = 'prior' if model.prior is not None else 'objects'
            raise ValueError(f'a model with model.test_cfg.{key}={model.test_cfg[key]!r} cannot be exported, as that '
                             "is no part of the network: set model.test_cfg.objects='image' and "
                             'model.test_cfg.prior=None')
        model.cluster_tensors()  # refuses clusters that were never fitted
        self.model = model
        self.frozen = nn.ModuleList(frozen_networks(model))  # exporters look for weights among the parameters
        preprocessor = model.data_preprocessor
        mean, std = (preprocessor.mean, preprocessor.std) if preprocessor._enable_normalize else (0., 1.)
        self.register_buffer('mean', torch.as_tensor(mean).clone())
        self.register_buffer('std', torch.as_tensor(std).clone())
        self.is_rgb = preprocessor._channel_conversion  # what OpenCV reads would have been turned
        self.register_buffer('table', None if names is None else torch.from_numpy(names.table))

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """(N, 3, H, W) float RGB from 0 to 255 -> (N, H, W) int64 ids, (N, H, W) float32 scores of the winners."""
        image = image if self.is_rgb else image.flip(1)
        scores = self.model.cluster_scores((image - self.mean) / self.std)
        scores = F.interpolate(scores, image.shape[-2:], mode='bilinear', align_corners=self.model.align_corners)
        ids = scores.argmax(1)
        return ids if self.table is None else self.table[ids], scores.amax(1)


def export_segmentor(model: ClusterSegmentor,
                     path: str,
                     images: Sequence[np.ndarray],
                     names: Optional[ClusterNames] = None,
                     opset: int = DEFAULT_OPSET,
                     metadata: Optional[Dict[str, str]] = None) -> float:
    """Write a model whose file takes any batch and size, and check it against PyTorch before it is put in its place.

    Args:
        path: its suffix says the format: ``.onnx``, ``.ts`` (TorchScript), ``.pt2`` (``torch.export``).
        images: (H, W, 3) uint8 RGB as the network sees them; of the check, one by one and two at a time.
        names: see :class:`ExportedSegmentor`; they go into the file too.
        opset: of ONNX.
        metadata: further facts for the file.

    Returns:
        the share of equal pixels.

    Raises:
        ImportError: a package of the extra ``onnx`` is missing.
        IsADirectoryError: ``path`` is a folder.
        OSError: the file cannot be written, for example on a full disk.
        ValueError: unknown suffix or opset; no image; the model cannot be exported; fewer than 99.9 % of the pixels are
            equal. Nothing is written then.
    """
    suffix = osp.splitext(path)[1]
    if suffix not in SUFFIXES:
        raise ValueError(f'{path}: the suffix says the format, {", ".join(map(" is ".join, SUFFIXES.items()))}')
    if opset not in OPSETS:
        raise ValueError(f'opset {opset} is not supported: choose one from {OPSETS[0]} to {OPSETS[-1]}')
    if osp.isdir(path):
        raise IsADirectoryError(f'{path} is a folder: give the name of a file')
    if not len(images):
        raise ValueError('an export is checked on images, and there is none: give a folder of some')
    module = ExportedSegmentor(model, names).eval()
    if suffix == '.onnx':
        _check_onnx_packages()
        _check_onnx_size(module, path)
    batches = _as_batches(images)
    facts = dict(_facts(model, names), **(metadata or {}))
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)
    with replacing(path) as part, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of tracing: choices by shape that are fixed on purpose
        predict = _WRITERS[suffix](module, part, batches[0], facts, opset)
        equal = _share_equal(module, predict, batches)
        if equal < LEAST_EQUAL:
            raise ValueError(f'{path} was not written: the {SUFFIXES[suffix]} model gives {100 * equal:.3f} % of the '
                             f'pixels of {len(images)} images the cluster that PyTorch gives them, but '
                             f'{100 * LEAST_EQUAL} % are needed')
    return equal


def _write_onnx(module: nn.Module, path: str, example: Tensor, facts: Dict[str, str], opset: int) -> Predict:
    import onnx
    axes = {name: {0: 'batch', 1: 'height', 2: 'width'} for name in OUTPUTS}
    axes[INPUT] = {0: 'batch', 2: 'height', 3: 'width'}
    # releases from 2.5 on know another exporter too, which needs onnxscript
    further = dict(dynamo=False) if 'dynamo' in inspect.signature(torch.onnx.export).parameters else {}
    buffer = io.BytesIO()
    torch.onnx.export(module, (example, ), buffer, opset_version=opset, input_names=[INPUT],
                      output_names=list(OUTPUTS), dynamic_axes=axes, **further)
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, facts)
    write_from_memory(path, lambda file: onnx.save(model, file))
    return _onnx_predict(path)


def _onnx_predict(path: str) -> Predict:
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda batch: session.run(None, {INPUT: batch})


def _write_torchscript(module: nn.Module, path: str, example: Tensor, facts: Dict[str, str], opset: int) -> Predict:
    traced = torch.jit.freeze(torch.jit.trace(module, example, check_trace=False))  # without what only training needs
    extra = {'metadata.json': json.dumps(facts)}
    write_from_memory(path, lambda file: torch.jit.save(traced, file, _extra_files=extra))
    return _torch_predict(torch.jit.load(path))


def _write_torch_export(module: nn.Module, path: str, example: Tensor, facts: Dict[str, str], opset: int) -> Predict:
    sides = {2: torch.export.Dim('height', min=_SMALLEST_SIDE), 3: torch.export.Dim('width', min=_SMALLEST_SIDE)}
    example = example[:1].repeat(2, 1, 1, 1)  # a batch of one would be taken for a fixed one
    module.to(memory_format=torch.contiguous_format)  # strides of other layouts it cannot follow through resized images
    try:
        exported = torch.export.export(module, (example, ), strict=False,
                                       dynamic_shapes=({0: torch.export.Dim('batch'), **sides}, ))
    except Exception as error:  # of many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f'torch.export of torch {torch.__version__} cannot follow this model at any size ({reason}): '
                         'use a later torch, or write .onnx or .ts') from None
    finally:
        module.to(memory_format=torch.channels_last)
    extra = {'metadata.json': json.dumps(facts)}
    write_from_memory(path, lambda file: torch.export.save(exported, file, extra_files=extra))
    with open(path, 'rb') as file:  # of a path it refuses other suffixes
        return _torch_predict(torch.export.load(file).module())


def _torch_predict(module: nn.Module) -> Predict:
    return lambda batch: [output.numpy() for output in module(torch.from_numpy(batch))]


_WRITERS = {'.onnx': _write_onnx, '.ts': _write_torchscript, '.pt2': _write_torch_export}


def _check_onnx_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError(f'ONNX needs {error.name}, which cannot be imported. Run: pip install "mmseg-unsup[onnx]"'
                          ) from None


def _check_onnx_size(module: nn.Module, path: str) -> None:
    n_bytes = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    if n_bytes >= _ONNX_BYTES:
        raise ValueError(f'{path} would have {n_bytes / 2**30:.1f} GiB of weights, but an ONNX file holds less than '
                         f'{_ONNX_BYTES / 2**30:.0f} GiB: write .ts or .pt2')


def _facts(model: ClusterSegmentor, names: Optional[ClusterNames]) -> Dict[str, str]:
    """What is written into the file, as text."""
    cluster_set, n_clusters, fingerprint = model.cluster_identity()
    names = names or ClusterNames.identity(cluster_set, n_clusters, fingerprint, model.background_cluster)
    return dict(names=json.dumps(names.names), palette=json.dumps(names.palette.tolist()),
                cluster_set=cluster_set, n_clusters=str(n_clusters), fingerprint=fingerprint)


def _as_batches(images: Sequence[np.ndarray]) -> List[Tensor]:
    """Every image alone, then neighbours of one size together."""
    singles = [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() for image in images]
    pairs = [torch.cat(pair) for pair in zip(singles, singles[1:]) if pair[0].shape == pair[1].shape]
    return singles + pairs[:1]


def _share_equal(module: nn.Module, predict: Predict, batches: List[Tensor]) -> float:
    n_equal = n_pixels = 0
    with track_progress('comparing', len(batches), 'batches') as advance:
        for batch in batches:
            expected, found = module(batch)[0].numpy(), predict(batch.contiguous().numpy())[0]
            n_equal, n_pixels = n_equal + int((expected == found).sum()), n_pixels + expected.size
            advance(1)
    return n_equal / n_pixels


def export_model(config: Optional[str],
                 model: str,
                 out: str,
                 clusters: Optional[str] = None,
                 images: Optional[str] = None,
                 n_images: int = 16,
                 size: Optional[int] = None,
                 opset: int = DEFAULT_OPSET,
                 options: Optional[dict] = None) -> str:
    """Load a model and write its file.

    Args:
        config, model, options: see :func:`load_segmentor`.
        out, opset: see :func:`export_segmentor`.
        clusters: a ``clusters.json``: the ids are its classes.
        images: folder of images to check with; None for the test images of the config, of which ``n_images`` are
            taken.
        size: see :class:`mmseg_unsup.apis.UnsupInferencer`.

    Returns:
        a line that says what was written and how it was checked.
    """
    start = time.perf_counter()
    cfg, segmentor = load_segmentor(config, model, options=options)
    names = None
    if clusters:
        names = ClusterNames.load(clusters)
        names.check(*segmentor.cluster_identity())
    transforms = whole_image_pipeline(cfg, size)
    resize = next((transform for transform in transforms if 'protocol' in transform), {})
    metadata = {key: str(resize[key]) for key in ('size', 'protocol') if key in resize}
    seen = [_seen(path, transforms) for path in _image_paths(cfg, images)[:n_images]]
    share = export_segmentor(segmentor, out, seen, names, opset, metadata)
    facts = '; ' * bool(metadata) + ', '.join(f'{key} {value}' for key, value in metadata.items())
    return (f'{out}: {osp.getsize(out) / 1e6:.1f} MB, {time.perf_counter() - start:.1f} s, {100 * share:.4f} % of the '
            f'pixels of {len(seen)} images equal to PyTorch{facts}')


def _image_paths(cfg: Config, folder: Optional[str]) -> Sequence[str]:
    if folder:
        check_folder(folder, 'give a folder of images to check with')
        return find_images(folder)
    if 'type' not in (cfg.get('test_dataloader') or {}).get('dataset', {}):
        raise ValueError(f'the config has no test images to check with: {_REMEDY}')
    try:
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    except FileNotFoundError as error:  # the config of a model may come from another machine
        raise FileNotFoundError(f'the config has test images to check with, but {error}; or {_REMEDY}') from None
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def _seen(path: str, transforms: List[dict]) -> np.ndarray:
    """(H, W, 3) uint8 RGB as the network sees a file."""
    check_fits(path, lambda shape: _DECODED_BYTES * shape[0] * shape[1])
    image = read_rgb(path)[..., ::-1]
    packed = Compose(transforms)(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))
    return packed['inputs'].flip(0).permute(1, 2, 0).numpy()
