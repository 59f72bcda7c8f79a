"""A trained model as a folder that others can use: weights and config as data, names of clusters, and a card."""
import os
import os.path as osp
import shutil
from typing import Dict, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..apis.loading import load_segmentor, read_weights
from ..apis.model_files import NAMES_FILE, PUSHED_FILE, choose_files
from ..converters.files import check_place
from ..models.backbones.frozen_backbone import FrozenBackbone
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..structures import ClusterNames
from ..utils.atomic import made_folder, remove_parts, replacing, whole_name, write_json, write_text
from ..utils.paths import printable
from ..weights.pretrained_file import as_checkpoint_tensor
from ..weights.tensor_files import check_writable, write_weights
from .model_card import check_licence, model_card

CONFIG_FILE, CARD_FILE = 'config.json', 'README.md'
FILES = (PUSHED_FILE, CONFIG_FILE, NAMES_FILE, CARD_FILE)
# of the meta of a checkpoint, what others need
_META = ('epoch', 'iter', 'seed', 'weights_seen', 'dataset_meta')


def write_model_folder(model: str, folder: str, config: Optional[str] = None, clusters: Optional[str] = None,
                       title: Optional[str] = None, licence: Optional[str] = None) -> str:
    """Write a model into a folder, and make sure that the same model is read from there; a line on what it holds.

    ``model.safetensors`` carries weights and config; ``config.json`` is that config to look at. Paths in it are reduced
    to their last names. Weights of a frozen backbone go along, unless their publisher has them at an address.

    Args:
        model: as :func:`mmseg_unsup.apis.model_files.choose_files` takes it.
        config: in place of the one that the checkpoint carries.
        clusters: names of the clusters: a file, ``'none'``, or None for those of the folder ``model``.
        title: of the card; the name of the folder by default.
        licence: of the model, as the hub writes it, such as ``'apache-2.0'``; None leaves it open.

    Raises:
        FileExistsError: the folder holds other things.
        OSError: it cannot be written to.
        ValueError: what :func:`load_segmentor` raises; the names are of another checkpoint; no licence is called so.
    """
    check_licence(licence)
    check_writable(osp.join(folder, PUSHED_FILE))
    check_place(folder)
    _check_folder(folder)
    checkpoint, names = choose_files(model, clusters)
    cfg, segmentor = load_segmentor(config, checkpoint)
    classes = _checked_names(names, segmentor)
    content, state = read_weights(checkpoint)
    meta = content.get('meta') or {}
    state, cfg = _with_frozen(segmentor, state, _without_folders(cfg))
    title = title or osp.basename(osp.abspath(folder))
    card = model_card(title, cfg, segmentor, meta, checkpoint, classes, licence)
    with made_folder(folder):
        remove_parts(folder, FILES)
        size = _write_weights(folder, state, meta, cfg, segmentor)
        write_json(osp.join(folder, CONFIG_FILE), dict(library='mmseg_unsup', **_plain(cfg.to_dict())))
        _copy_names(names, folder)
        write_text(osp.join(folder, CARD_FILE), card)
    return f'{len(state)} tensors, {size / 1e6:.1f} MB, in {printable(folder)}'


def _check_folder(folder: str) -> None:
    names = sorted(os.listdir(folder)) if osp.isdir(folder) else ()
    others = [name for name in names if whole_name(name) not in FILES]
    if others:
        raise FileExistsError(f'{printable(folder)} holds {printable(others[0])}, which is none of the files of a '
                              'model: give a folder of its own')


def _checked_names(path: Optional[str], segmentor: ClusterSegmentor) -> Sequence[str]:
    """The names in a ``clusters.json``, none without one; ValueError if they are of another checkpoint."""
    if path is None:
        return ()
    names = ClusterNames.load(path)
    names.check(*segmentor.cluster_identity())
    return names.names


def _without_folders(cfg: Config) -> Config:
    """A copy in which paths of this machine are their last names: nobody else has those, and they tell of its user."""

    def reduced(value):
        if isinstance(value, dict):
            return {key: reduced(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(reduced, value))
        is_path = isinstance(value, str) and osp.isabs(osp.expanduser(value))
        return osp.basename(value.rstrip(os.sep)) if is_path else value

    return Config(reduced(cfg.to_dict()))


def _with_frozen(segmentor: nn.Module, state: Dict[str, Tensor], cfg: Config) -> Tuple[Dict[str, Tensor], Config]:
    """The weights to write, those of a frozen backbone among them where only a file of this machine has them."""
    backbone = segmentor.backbone
    if isinstance(backbone, FrozenBackbone):
        init_cfg = cfg.model.backbone.backbone.get('init_cfg') or {}
        if '://' not in str(init_cfg.get('checkpoint')):
            state = {**state, **{f'backbone.{name}': value for name, value in backbone.network.state_dict().items()}}
            cfg.model.backbone.backbone.init_cfg = None
            if 'init' in cfg:
                cfg.init = None
    tensors = {name: as_checkpoint_tensor(value) for name, value in state.items() if isinstance(value, Tensor)}
    return tensors, cfg


def _write_weights(folder: str, state: Dict[str, Tensor], meta: dict, cfg: Config, segmentor: nn.Module) -> int:
    """Write weights and config once they are read back the same; bytes of the file."""
    path, kept = osp.join(folder, PUSHED_FILE), {key: meta[key] for key in _META if key in meta}
    with replacing(path) as part:
        write_weights(part, state, dict(kept, cfg=cfg.pretty_text), path)
        _check_same(segmentor, part)
    return osp.getsize(path)


def _check_same(segmentor: nn.Module, path: str) -> None:
    """Raise ValueError unless a file gives the same model, to the bit."""
    expected, found = segmentor.state_dict(), load_segmentor(None, path)[1].state_dict()
    differing = [name for name, value in expected.items()
                 if name not in found or not torch.equal(found[name], value)]
    if differing:
        raise ValueError(f'the model that is read back differs in {len(differing)} tensors, first {differing[0]}: '
                         'nothing was written')


def _copy_names(names: Optional[str], folder: str) -> None:
    path = osp.join(folder, NAMES_FILE)
    if names is None and osp.exists(path):  # of a former model
        os.remove(path)
    elif names is not None and not (osp.exists(path) and osp.samefile(names, path)):
        with replacing(path) as part:
            shutil.copyfile(names, part)


def _plain(value):
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
