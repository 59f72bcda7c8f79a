"""From the files of a model to one that runs without this package, checked on images of its kind."""
import os.path as osp
import time
from typing import List, Optional

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config

from ..datasets.image_files import check_folder, find_images
from ..registry import DATASETS
from ..structures import ClusterNames
from ..datasets.pictures import read_rgb
from ..utils.whole_images import whole_image_pipeline
from .export import DEFAULT_OPSET, export_segmentor
from .image_input import check_fits
from .loading import load_segmentor

DECODED_BYTES = 12  # per pixel of an image that is read and resized
_REMEDY = 'give a folder of some by --images'


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

    Raises:
        FileNotFoundError, ValueError: there are no images; see :func:`load_segmentor` and :func:`export_segmentor`.
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


def _image_paths(cfg: Config, folder: Optional[str]) -> List[str]:
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
    check_fits(path, lambda shape: DECODED_BYTES * shape[0] * shape[1])
    image = read_rgb(path)[..., ::-1]
    packed = Compose(transforms)(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))
    return packed['inputs'].flip(0).permute(1, 2, 0).numpy()
