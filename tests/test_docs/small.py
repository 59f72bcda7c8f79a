"""What makes a documented command last seconds: small data in the places that the documents name, and options that make
any config small. A command keeps all of its own options."""
from typing import Dict, List, Sequence, Tuple

import cv2
import numpy as np
import torch
from mmseg.models.backbones import ResNet

from mmseg_unsup.utils import load_config
from ..conftest import smooth_image, write_camvid

SIDE = 32
LOADERS = [f'{name}_dataloader' for name in ('train', 'probe', 'labelled_probe', 'val', 'test')]


def small_options(path, own: Sequence[str] = (), epochs: int = 1) -> List[str]:
    """``key=value`` options for a config.

    Args:
        own: options of the command.
        epochs: of the training, where the config has more.
    """
    cfg = load_config(str(path))
    options = {**_training(cfg, epochs), **_probes(cfg)}
    for name in LOADERS:
        if cfg.get(name):
            options.update(_loader(name, cfg[name]))
    if not any(option.startswith(('model.backbone.depth', 'model.neck.')) for option in own):
        options.update(_narrow(cfg.model))
    if not any(option.startswith('init=') or 'init_cfg' in option for option in own):
        options[f'{_network(cfg.model)[0]}.init_cfg'] = None
    return [f'{key}={value}'.replace(' ', '') for key, value in options.items()]


def _training(cfg, epochs: int) -> Dict[str, object]:
    if cfg.get('train_cfg') is None:
        return {}
    if 'max_iters' in cfg.train_cfg:
        size = {'model.data_preprocessor.size': (SIDE, SIDE)} if cfg.model.data_preprocessor.get('size') else {}
        return {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'default_hooks.checkpoint.interval': 2, **size}
    keys = 'train_cfg.max_epochs', 'train_cfg.val_interval', 'default_hooks.checkpoint.interval'
    return dict.fromkeys(keys, epochs)


def _probes(cfg) -> Dict[str, object]:
    probes = cfg.default_hooks.get('probes', {}).get('probes', [])
    return {f'default_hooks.probes.probes.{i}.n_clusters': 50 for i, probe in enumerate(probes)
            if probe.get('n_clusters', 0) > 50}


def _loader(name: str, loader) -> Dict[str, object]:
    options = {f'{name}.num_workers': 0, f'{name}.persistent_workers': False,
               f'{name}.batch_size': min(loader.get('batch_size', 1), 8)}
    if loader.dataset.type == 'mmseg_unsup.PartnerDataset':
        options[f'{name}.dataset.n_neighbours'] = 3  # of four images
    for i, step in enumerate(loader.dataset.get('pipeline', [])):
        key = f'{name}.dataset.pipeline.{i}'
        if isinstance(step.get('size'), int):
            options[f'{key}.size'] = SIDE
        if 'crop_size' in step:
            options[f'{key}.crop_size'] = (SIDE, SIDE)
        if step.type in ('RandomResize', 'Resize'):
            options[f'{key}.scale'] = (1000, SIDE)
    return options


def _network(model) -> Tuple[str, dict]:
    """Key and config of the backbone, be it frozen."""
    is_frozen = model.backbone.type == 'mmseg_unsup.FrozenBackbone'
    return ('model.backbone.backbone', model.backbone.backbone) if is_frozen else ('model.backbone', model.backbone)


def _narrow(model) -> Dict[str, object]:
    """An eighth of the channels of a ResNet, and what follows from it for neck and heads."""
    key, network = _network(model)
    if network.type != 'ResNet':
        return {}
    widths = [8 * 2**level * (4 if network.depth >= 50 else 1) for level in range(4)]
    options = {f'{key}.base_channels': 8, f'{key}.stem_channels': 8}
    if 'neck' in model:
        of_layer3 = isinstance(model.neck.in_channels, int)
        options.update({'model.neck.in_channels': widths[2] if of_layer3 else widths, 'model.neck.out_channels': 16})
        is_list = isinstance(model.decode_head.in_channels, (list, tuple))
        options['model.decode_head.in_channels'] = [16] if is_list else 16
        return options
    options['model.decode_head.in_channels'] = widths[-1]
    if 'c1_in_channels' in model.decode_head:
        options['model.decode_head.c1_in_channels'] = widths[0]
    if 'auxiliary_head' in model:
        options['model.auxiliary_head.in_channels'] = widths[-2]
    if 'saliency_threshold' in model.decode_head:
        options['model.decode_head.saliency_threshold'] = -10  # an untrained network finds nothing
    return options


def write_data(root) -> None:
    """All that the documents suppose to be there, besides what their commands write."""
    for name, n_classes in (('camvid', 11), ('scenes', 3)):
        write_camvid(root / 'data' / name, n_classes)
    _write_cityscapes(root / 'data' / 'cityscapes')
    _write_discs(root / 'FOLDER')
    torch.manual_seed(0)
    weights = ResNet(18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')).state_dict()
    (root / 'weights').mkdir()
    for path in ('WEIGHTS', 'weights/resnet18.pth'):
        torch.save(weights, root / path)
    np.save(root / 'image.npy', np.random.default_rng(0).random((2, 3, 40, 52), np.float32) * 255)


def _write_cityscapes(root) -> None:
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for folder in ('leftImg8bit', 'gtFine'):
            (root / folder / split / 'aachen').mkdir(parents=True)
        for i in range(4):
            stem = f'aachen/aachen_000000_{i:06d}'
            cv2.imwrite(str(root / 'leftImg8bit' / split / f'{stem}_leftImg8bit.png'), smooth_image(rng, 48, 96))
            for kind in ('labelIds', 'labelTrainIds'):
                labels = rng.integers(7, 19, (48, 96)).astype(np.uint8)
                cv2.imwrite(str(root / 'gtFine' / split / f'{stem}_gtFine_{kind}.png'), labels)


def _write_discs(folder) -> None:
    """Eight images with something to see in each, one of them in a sub-folder."""
    rng = np.random.default_rng(0)
    (folder / 'more').mkdir(parents=True)
    for i in range(8):
        image = np.full((64, 80, 3), rng.integers(40, 90, 3), np.uint8)
        cv2.circle(image, (int(rng.integers(30, 50)), 32), 16, rng.integers(160, 255, 3).tolist(), -1)
        cv2.imwrite(str(folder / ('more' if i == 0 else '') / f'{i}.jpg'), image)


def config_paths(words: Sequence[str]) -> List[str]:
    """Of the configs among words, below the clone."""
    return [word.replace('mmseg_unsup::', 'configs/') for word in words if word.endswith('.py')]
