"""Write a trained model as one file that runs without this package.

    python tools/export.py CONFIG CHECKPOINT model.onnx [--clusters clusters.json] [--images FOLDER]

The suffix says the format: .onnx, .ts (TorchScript) or .pt2 (torch.export). The model takes `image`, float32 RGB from 0
to 255, (N, 3, H, W) with any N, H and W, and gives `ids`, (N, H, W) int64, and `similarity`, (N, H, W) float32, the
score of the winning cluster. Images are to be resized as the config evaluates them; the size is in the file. The file is
compared with PyTorch on images and put in its place if at least 99.9 % of the pixels are equal.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
from typing import List

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config

from mmseg_unsup.apis import ClusterNames, load_segmentor, whole_image_pipeline
from mmseg_unsup.apis.export import DEFAULT_OPSET, OPSETS, export_segmentor
from mmseg_unsup.apis.image_input import check_fits
from mmseg_unsup.datasets.image_files import check_folder, find_images
from mmseg_unsup.registry import DATASETS
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_model_arguments, add_size_argument
from mmseg_unsup.utils.pictures import read_rgb

DECODED_BYTES = 12  # per pixel of an image that is read and resized


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_arguments(parser)
    parser.add_argument('out', help='file to write')
    parser.add_argument('--clusters', help='make the ids those of the classes of this file, whose names go with it')
    parser.add_argument('--images', help="folder of images to check with (default: the config's test images)")
    parser.add_argument('--check-images', type=at_least(1), default=16, help='how many of them (default: %(default)s)')
    add_size_argument(parser)
    parser.add_argument('--opset', type=int, default=DEFAULT_OPSET,
                        help=f'of ONNX, {OPSETS[0]} to {OPSETS[-1]} (default: %(default)s)')
    return parser.parse_args()


def image_paths(args: argparse.Namespace, cfg: Config) -> List[str]:
    if args.images:
        check_folder(args.images, 'give a folder of images to check with')
        return find_images(args.images)
    if 'type' not in (cfg.get('test_dataloader') or {}).get('dataset', {}):
        raise ValueError('the config has no test images to check with: give a folder of some by --images')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def seen(path: str, transforms: List[dict]) -> np.ndarray:
    """(H, W, 3) uint8 RGB as the network sees a file."""
    check_fits(path, lambda shape: DECODED_BYTES * shape[0] * shape[1])
    image = read_rgb(path)[..., ::-1]
    packed = Compose(transforms)(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))
    return packed['inputs'].flip(0).permute(1, 2, 0).numpy()


def main() -> None:
    args = parse_args()
    cfg, model = load_segmentor(args.config, args.checkpoint, options=args.cfg_options)
    names = None
    if args.clusters:
        names = ClusterNames.load(args.clusters)
        names.check(*model.cluster_identity())
    transforms = whole_image_pipeline(cfg, args.size)
    resize = next((transform for transform in transforms if 'protocol' in transform), {})
    metadata = {key: str(resize[key]) for key in ('size', 'protocol') if key in resize}
    images = [seen(path, transforms) for path in image_paths(args, cfg)[:args.check_images]]
    share = export_segmentor(model, args.out, images, names, args.opset, metadata)
    print(f'{args.out}: {100 * share:.4f} % of the pixels of {len(images)} images equal to PyTorch; '
          + ', '.join(f'{key} {value}' for key, value in metadata.items()))


if __name__ == '__main__':
    main()
