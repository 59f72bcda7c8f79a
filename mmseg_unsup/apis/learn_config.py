"""The config of a training by labels that goes on with the network of another model."""
import copy
import os.path as osp
from typing import List, Optional, Sequence

import torch
from mmengine.config import Config

from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..utils.config import load_config, merge_options
from ..utils.whole_images import resizes_of, whole_image_pipeline
from .learn_request import LABELS, ROUNDS, TRAIN, LearnRequest
from .loading import with_refine

CONFIG = 'mmseg_unsup::finetune/taught_r18_folder.py'
_FROZEN, _RESNETS = 'mmseg_unsup.FrozenBackbone', ('ResNet', 'ResNetV1c', 'ResNetV1d')
_NECK_CHANNELS = 128


def learning_config(request: LearnRequest, stored: Config, model: ClusterSegmentor, classes: Sequence[str],
                    n_labelled: int, class_weight: Optional[Sequence[float]] = None) -> Config:
    """That of :data:`CONFIG` with backbone and neck of a model.

    A ResNet trains, also one that was frozen, and so does any other backbone that was trained; all that else is frozen
    stays so, and neck and head train.

    Args:
        stored, model: what :func:`mmseg_unsup.apis.loading.load_segmentor` gave of the model at hand.
        n_labelled: number of labelled images.
        class_weight: see :class:`mmseg_unsup.TaughtSegmentor`.

    Raises:
        ValueError: the neck of the model reads more than its backbone gives.
    """
    options = dict(data_root=request.images, labels=osp.abspath(request.path(LABELS)), classes=[*classes])
    cfg = load_config(CONFIG, options)
    cfg.model.data_preprocessor.update(stored.model.get('data_preprocessor') or {})
    cfg.model.backbone = _backbone(stored.model.backbone, request.checkpoint)
    neck, in_channels = _neck(stored, model, request.checkpoint)
    cfg.model.neck, cfg.model.decode_head.in_channels = neck, in_channels
    cfg.model.class_weight = class_weight
    _set_size(cfg, stored, request)
    _set_length(cfg, request.n_steps(n_labelled), n_labelled)
    cfg.work_dir = request.path(TRAIN)
    merge_options(cfg, with_refine(request.options, request.refine) or {})
    return cfg


def _backbone(stored: dict, checkpoint: str) -> dict:
    start = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=checkpoint)
    if stored['type'] != _FROZEN:
        return dict(stored, init_cfg=start)
    network = stored['backbone']
    if network['type'] in _RESNETS and stored.get('out') is None:
        return dict(network, norm_cfg=dict(type='SyncBN', requires_grad=True), init_cfg=start)
    if network.get('init_cfg'):
        return copy.deepcopy(stored)
    return dict(stored, backbone=dict(network, init_cfg=start), keep_in_checkpoint=True)


def _neck(stored: Config, model: ClusterSegmentor, checkpoint: str) -> tuple:
    """Config of the neck, and its channels."""
    neck = stored.model.get('neck')
    if getattr(model.neck if model.with_neck else None, 'reads_codes', False):
        raise ValueError(f'the neck of {checkpoint}, a {neck["type"].rpartition(".")[2]}, reads a codebook of its '
                         'method, and does not go on alone: give the model of another method')
    if neck is None or not isinstance(stored.model.decode_head.in_channels, int):
        levels = dict(type='mmseg_unsup.LateralSumNeck', in_channels=_channels(model), out_channels=_NECK_CHANNELS)
        return levels, _NECK_CHANNELS
    start = dict(type='mmseg_unsup.PretrainedNeck', checkpoint=checkpoint)
    return dict(neck, init_cfg=start), stored.model.decode_head.in_channels


@torch.no_grad()
def _channels(model: ClusterSegmentor) -> List[int]:
    """Of the maps that the backbone gives."""
    image = torch.zeros(1, 3, 64, 64, device=model.data_preprocessor.device)
    return [level.size(1) for level in model.backbone(image)]


def _set_size(cfg: Config, stored: Config, request: LearnRequest) -> None:
    """Crops as large as the shorter side of what is predicted, which is brought to its size as the model has it."""
    own = dict(*resizes_of(whole_image_pipeline(stored))[:1])
    is_free = cfg.model.backbone.type != _FROZEN and own.get('protocol') != 'squash'  # which is of networks of one size
    size = request.n_pixels(own.get('size'), is_free)
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'RandomResize':
            step.scale = (step.scale[0], size)
        elif step.type == 'RandomCrop':
            step.crop_size = (size, size)
    for step in resizes_of(cfg.test_dataloader.dataset.pipeline):
        step.update(own, size=size)


def _set_length(cfg: Config, n_steps: int, n_labelled: int) -> None:
    """Ten rounds, in each of which every image comes equally often or, of many, once at most."""
    of_round = n_steps // ROUNDS
    cfg.train_cfg.max_epochs, cfg.train_cfg.steps_per_epoch = ROUNDS, of_round
    cfg.train_dataloader.dataset.dataset.times = -(-of_round * cfg.train_dataloader.batch_size // n_labelled)
