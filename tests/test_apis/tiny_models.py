"""Small models of all methods with random weights and clusters, and their checkpoints."""
from copy import deepcopy

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.model import revert_sync_batchnorm

from mmseg_unsup.registry import MODELS
from ..conftest import smooth_image
from ..test_models.test_mask_contrast import MODEL as MASK_CONTRAST
from ..test_models.test_mask_contrast import build as build_mask_contrast

K = 5
# methods that learn codes of frozen features, and settings of the model beside those of `_codes_config`
CODES = dict(STEGO={}, SmooSeg={}, PriMaPs={}, CAUSE={})
# those of them whose clusters have a student and a teacher, and what these are
AVERAGED = dict(SmooSeg='mmseg_unsup.CosineClusterSet', PriMaPs='mmseg_unsup.WeightNormSet')
METHODS = ('PiCIE', 'MDC', 'IIC', 'MaskContrast', *CODES)
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='SyncBN'))
PREPROCESSOR = dict(type='mmseg_unsup.MultiViewDataPreProcessor', bgr_to_rgb=True, mean=[123.675, 116.28, 103.53],
                    std=[58.395, 57.12, 57.375])


def model_config(method: str, **prediction) -> dict:
    if method == 'MaskContrast':
        return dict(MASK_CONTRAST, data_preprocessor=PREPROCESSOR)
    if method in CODES:
        return _codes_config(method, **prediction)
    return dict(
        type=f'mmseg_unsup.{method}',
        data_preprocessor=PREPROCESSOR,
        backbone=deepcopy(RESNET),  # tests change configs in place
        neck=dict(type='mmseg_unsup.LateralSumNeck', in_channels=[8, 16, 32, 64], out_channels=16),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=16, n_clusters=K),
        test_cfg=ConfigDict(mode='whole', **prediction),
        **(dict(num_sub_heads=2) if method == 'IIC' else {}))


def _codes_config(method: str, **prediction) -> dict:
    """Of the last map of a backbone that is frozen and in the checkpoint."""
    cluster = dict(type='mmseg_unsup.CosineClusterSet')
    if method in AVERAGED:
        cluster = dict(type='mmseg_unsup.AveragedSet', of=dict(type=AVERAGED[method]))
    return dict(
        type=f'mmseg_unsup.{method}',
        data_preprocessor=PREPROCESSOR,
        backbone=dict(type='mmseg_unsup.FrozenBackbone', backbone=deepcopy(RESNET), out=['layer3'],
                      keep_in_checkpoint=True),
        neck=dict(type='mmseg_unsup.ResidualProjection', in_channels=32, out_channels=16),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=16, n_clusters=K,
                         clusters=dict(cluster=cluster)),
        test_cfg=ConfigDict(mode='whole', **prediction)) | CODES[method]


def tiny_model(method: str, **prediction):
    """In eval mode; its clusters are about equally large on noise. ``prediction``: settings of ``test_cfg``."""
    if method == 'MaskContrast':
        model = build_mask_contrast(start=False, data_preprocessor=PREPROCESSOR)
        _center_saliency(model.eval())
        model.clusters['objects'].fit(torch.randn(K - 1, 6), torch.zeros(K - 1))
        return model
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(model_config(method, **prediction))).eval()
    if method == 'IIC':
        return model
    with torch.no_grad():
        feats = model.forward_maps(torch.randn(2, 3, 64, 64)).feats['features']
    cells = feats.permute(0, 2, 3, 1).flatten(0, 2)
    for name in model.clusters.trained:
        drawn = cells[torch.randperm(len(cells))[:K]]
        if method in CODES:
            getattr(model.clusters[name], 'teacher', model.clusters[name]).weight.data.copy_(drawn)
        else:
            model.clusters[name].fit(drawn, torch.ones(K))
    return model


def _center_saliency(model) -> None:
    """Of smooth pictures, about a half is salient."""
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(smooth_image(rng, 48, 64)).permute(2, 0, 1) for _ in range(4)]
    with torch.no_grad():
        trunk = model.decode_head.trunk(model.extract_feat(model.data_preprocessor(dict(inputs=images))['inputs']))
    mean, weight = trunk.mean((0, 2, 3)), model.decode_head.saliency.weight.data
    weight[0, :, 0, 0] -= (weight[0, :, 0, 0] @ mean - 1e-3) / (mean @ mean) * mean
    weight *= 500
