"""Checkpoints of released methods on frozen features: which tensors they hold under which names.

Names of STEGO (and of DepthG, which has its layout), HP, EAGLE and PriMaPs are those of their released code, those of
SmooSeg and CAUSE those of their released files.
"""
import re
import zipfile
from dataclasses import dataclass, field, replace
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..hosts.published_weights import damaged_record
from ..hosts.safe_loading import StandIn, load_with_stand_ins
from ..models.segmentors.released_segmentor import LINEAR
from ..utils.checks import check_choice

Tensors = Dict[str, Tensor]
# what lies beside the tensors: settings (omegaconf, argparse), callbacks and loggers of Lightning, plain types
HARMLESS = re.compile(r'(omegaconf|pytorch_lightning|lightning|lightning_fabric)\.[\w.]+|argparse\.Namespace|'
                      r'typing\.\w+|pathlib\.\w+|collections\.defaultdict|((builtins|__builtin__)\.)?(dict|list|tuple|'
                      r'set|int|float|str|bool|object)')
_REMEDY = 'download it again from its authors'
_PROJECTION = ('cluster1.0.weight', 'cluster1.0.bias', 'cluster2.0.weight', 'cluster2.0.bias', 'cluster2.2.weight',
               'cluster2.2.bias')
# our name of a tensor of CAUSE's heads -> theirs, of the transformer without what is before all of them
_CAUSE_MLP = {name: name.replace('cluster1.0', 'f1').replace('cluster2', 'f2') for name in _PROJECTION}
_CAUSE_TR = {'query_pos': 'query_pos', **{f'{layer}.{part}': f'tr.{layer}.{part}' for layers, parts in (
    (('self_attn', 'multihead_attn'), ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')),
    (('linear1', 'linear2', 'norm1', 'norm2', 'norm3'), ('weight', 'bias'))) for layer in layers for part in parts},
    **{f'projection.{name}': f'tr.{theirs}' for name, theirs in _CAUSE_MLP.items()}}
# our name of a tensor of a head that sizes are read from -> number of its dimensions
_DIMENSIONS = {'cluster1.0.weight': 4, 'query_pos': 2, 'linear1.weight': 2}
_BASELINE = 'cluster_probe.cluster_centers.'  # of PriMaPs, before the EM
_SEGHEADS = ('cluster_probe.ema_model.', 'seghead.', _BASELINE)
_COSINES, _LOGITS = (dict(type=f'mmseg_unsup.{name}') for name in ('CosineClusterSet', 'ClassifierSet'))


class ReleasedSet(NamedTuple):
    """Clusters, or classes, of a checkpoint: the config of their set, and its tensors."""
    config: dict
    state: Tensors


class ReleasedParts(NamedTuple):
    """What a released checkpoint holds, under the names of this package.

    Attributes:
        backbone: official name -> tensor; empty where the file has none.
        outputs: number of blocks -> the outputs of the backbone that codes are made of.
        neck: config of what makes the codes, without channels; None where features are codes.
        sets: name -> clusters; and as ``linear`` the linear probe, where the file has one.
        codebook: (K', C) codes that the neck reads, or None.
        n_classes: of the data set that it was trained on, where the file says it.
    """
    method: str
    source: str
    backbone: Tensors
    outputs: Callable[[int], List[str]]
    neck: Optional[dict]
    neck_state: Tensors
    sets: Dict[str, ReleasedSet]
    codebook: Optional[Tensor]
    n_classes: Optional[int]

    @property
    def title(self) -> str:
        return LAYOUTS[self.method].title

    @property
    def n_clusters(self) -> int:
        return len(next(iter(self.sets['cluster'].state.values())))

    @property
    def channels(self) -> int:
        """Of a code, D."""
        return next(iter(self.sets['cluster'].state.values())).size(1)

    @property
    def width(self) -> int:
        """Channels of the features that codes are made of."""
        state = self.neck_state
        widths = [state[name].size(1) for name in ('cluster1.0.weight', 'query_pos') if name in state]
        return widths[0] if widths else self.channels


def _last_tokens(n_blocks: int) -> List[str]:
    return ['tokens']


def _keys_of_three(n_blocks: int) -> List[str]:
    return [f'keys.{number}' for number in range(n_blocks - 3, n_blocks)]


def _cosines(tensors: Tensors, layout: 'Layout') -> Dict[str, ReleasedSet]:
    return dict(cluster=ReleasedSet(_COSINES, dict(weight=tensors[layout.clusters])))


def _primaps_sets(tensors: Tensors, layout: 'Layout') -> Dict[str, ReleasedSet]:
    """``cluster`` is theta_M, the moving average that gives the targets, and ``student`` theta_R; before the EM there
    are cosines alone."""
    baseline = tensors.get(f'{_BASELINE}weight_v')
    if baseline is not None:
        return dict(cluster=ReleasedSet(_COSINES, dict(weight=baseline.flatten(1))))
    weights = {name: _weight_norm(tensors, prefix) for name, prefix in zip(('cluster', 'student'), _SEGHEADS)}
    return {name: _layer(weight, weight.new_zeros(len(weight))) for name, weight in weights.items()}


def _linear_probe(tensors: Tensors, layout: 'Layout') -> Dict[str, ReleasedSet]:
    """The layer that reads classes from codes, which it did not train; nothing where the file has none."""
    if layout.linear not in tensors:
        return {}
    weight, bias = (tensors[name] for name in layout.probe)
    found = _layer(weight, bias)
    return {LINEAR: found._replace(config=dict(found.config, n_clusters=len(weight)))}


def _layer(weight: Tensor, bias: Tensor) -> ReleasedSet:
    """A set of (K, C, 1, 1) and (K,) that scores by logits."""
    return ReleasedSet(_LOGITS, {'classifiers.0.weight': weight, 'classifiers.0.bias': bias,
                                 'running_loss': weight.new_zeros(1)})


def _weight_norm(tensors: Tensors, prefix: str) -> Tensor:
    """(K, C, 1, 1) weight of a convolution that is kept as length and direction."""
    return tensors[f'{prefix}weight_g'] * F.normalize(tensors[f'{prefix}weight_v'].flatten(1), dim=1)[..., None, None]


@dataclass
class Layout:
    """Names in the checkpoints of a method.

    Attributes:
        title: of the method.
        mark: a name that no other method has; of those that have STEGO's, what STEGO has.
        backbone, head: prefixes; no head where features are codes.
        clusters, linear: name of the prototypes, and of the weight of the linear probe.
        names: our name of a tensor of the head -> theirs.
        neck: config of the head, without sizes.
        codebook: name of the codes that the head reads.
        outputs: number of blocks -> outputs of the backbone.
        sets: makes the sets of clusters of all tensors.
    """
    title: str
    mark: str
    backbone: str = 'net.model.'
    head: Optional[str] = 'net.'
    clusters: str = 'cluster_probe.clusters'
    linear: str = 'linear_probe.weight'
    names: Dict[str, str] = field(default_factory=lambda: {name: name for name in _PROJECTION})
    neck: dict = field(default_factory=lambda: dict(type='mmseg_unsup.ResidualProjection'))
    codebook: Optional[str] = None
    outputs: Callable[[int], List[str]] = _last_tokens
    sets: Callable[[Tensors, 'Layout'], Dict[str, ReleasedSet]] = _cosines

    @property
    def probe(self) -> Tuple[str, str]:
        """Names of weight and bias of the linear probe."""
        return self.linear, f'{self.linear.removesuffix("weight")}bias'

    @property
    def dimensions(self) -> Dict[str, int]:
        """Name of a tensor that sizes are read from -> number of its dimensions."""
        of_head = {f'{self.head}{self.names[ours]}': number for ours, number in _DIMENSIONS.items()
                   if ours in self.names}
        of_seghead = {f'{prefix}weight_{part}': 4 for prefix in _SEGHEADS for part in 'gv'}
        return {self.clusters: 2, self.linear: 4, **({} if self.codebook is None else {self.codebook: 2}),
                **(of_seghead if self.head is None else of_head)}

    def needed(self, tensors: Tensors) -> List[str]:
        """Names that a checkpoint must have."""
        probe = self.probe if self.linear in tensors else ()
        if self.head is None:
            return [*probe, *([] if f'{_BASELINE}weight_v' in tensors else [
                f'{prefix}weight_{part}' for prefix in _SEGHEADS[:2] for part in 'gv'])]
        codebook = [] if self.codebook is None else [self.codebook]
        return [*(self.head + name for name in self.names.values()), self.clusters, *codebook, *probe]


_STEGO = Layout('STEGO', 'net.cluster1.0.weight')
_CAUSE = Layout('CAUSE', 'linear.f.weight', backbone='', head='head_ema.', clusters='cluster_probe',
                linear='linear.f.weight', names=_CAUSE_MLP)
LAYOUTS: Dict[str, Layout] = dict(
    eagle=Layout('EAGLE', 'train_cluster_probe_eigen.clusters', outputs=_keys_of_three),
    smooseg=Layout('SmooSeg', 'prediction.global_clusters', head='projection.', clusters='prediction.global_clusters',
                   neck=dict(type='mmseg_unsup.ResidualProjection', activation='silu')),
    primaps=Layout('PriMaPs', 'seghead.weight_v', head=None, sets=_primaps_sets),
    hp=Layout('HP', 'net_model_state_dict.cluster1.0.weight', backbone='net_model_state_dict.model.',
              head='net_model_state_dict.', clusters='cluster_model_state_dict.clusters',
              linear='linear_model_state_dict.weight'),
    cause=_CAUSE,
    stego=_STEGO,
    depthg=replace(_STEGO, title='DepthG'))


def _layout_of(method: str, tensors: Tensors) -> Layout:
    """That of the checkpoint at hand: CAUSE has two heads."""
    if method != 'cause' or 'head_ema.query_pos' not in tensors:
        return LAYOUTS[method]
    return replace(_CAUSE, names=_CAUSE_TR, neck=dict(type='mmseg_unsup.ConceptDecoder'), codebook='codebook')


def read_released(method: str, paths: Sequence[str]) -> ReleasedParts:
    """What the files of a released checkpoint hold; nothing in them is run.

    Args:
        method: of :data:`LAYOUTS`.
        paths: one file; of CAUSE those of head and clusters.

    Raises:
        OSError: a file cannot be opened.
        ValueError: it is of another method, cannot be read, names code, lacks tensors, or has values that are no
            numbers.
    """
    check_choice('method', method, LAYOUTS)
    source = ' and '.join(paths)
    if len(paths) > 1 and method != 'cause':
        raise ValueError(f'a checkpoint of {LAYOUTS[method].title} is one file, and {source} are {len(paths)}: name '
                         'one')
    tensors: Tensors = {}
    settings: Dict[str, object] = {}
    for path in paths:
        found = _content_of(path)
        _add(_tensors_of(found), tensors, path)
        settings.update(_settings_of(found.get('hyper_parameters')))
    _check_method(tensors, method, source)
    layout = _layout_of(method, tensors)
    lacking = [name for name in layout.needed(tensors) if name not in tensors]
    if lacking:
        raise ValueError(f'{source} is no whole checkpoint of {layout.title}, it lacks {", ".join(lacking[:3])}'
                         f'{_advice_on(lacking)}')
    _check_dimensions(tensors, layout, source)
    return _parts(tensors, method, layout, settings, source)


def _add(found: Tensors, tensors: Tensors, path: str) -> None:
    """Add what a further file holds."""
    twice = [name for name, value in found.items() if name in tensors and not torch.equal(value, tensors[name])]
    if twice:
        raise ValueError(f'{path} and a file before it hold different tensors {twice[0]}: name the files of one '
                         'checkpoint, each once')
    tensors.update(found)


def _check_dimensions(tensors: Tensors, layout: 'Layout', source: str) -> None:
    """Raise ValueError where a tensor that sizes are read from has other dimensions than that of the method."""
    for name, number in layout.dimensions.items():
        if name in tensors and (tensors[name].dim() != number or not tensors[name].numel()):
            raise ValueError(f'{source} holds {name} of shape {tuple(tensors[name].shape)}, which is to have {number} '
                             f'dimensions and none of length 0: {_REMEDY}')


def _advice_on(lacking: Sequence[str]) -> str:
    if lacking == ['codebook']:
        return ', whose codes its transformer head reads: name its file too, modular.npy'
    is_half = lacking[0] == 'cluster_probe'
    return ': name the file of the clusters too, cluster_mlp.pth or cluster_tr.pth' if is_half else (
        ': download it again from its authors')


def _check_method(tensors: Tensors, method: str, source: str) -> None:
    found = next((name for name, layout in LAYOUTS.items() if layout.mark in tensors), None)
    if found is None:
        names = ', '.join(list(tensors)[:3]) or 'none'
        raise ValueError(f'{source} is no checkpoint of {LAYOUTS[method].title}: it has no tensor '
                         f'{LAYOUTS[method].mark}, but {names}: name another file, or another method of '
                         f'{", ".join(LAYOUTS)}')
    if LAYOUTS[found].mark != LAYOUTS[method].mark:
        raise ValueError(f'{source} is a checkpoint of {LAYOUTS[found].title}, of which it has '
                         f'{LAYOUTS[found].mark}, not of {LAYOUTS[method].title}: give {found} in the place of '
                         f'{method}')


def _parts(tensors: Tensors, method: str, layout: Layout, settings: Dict[str, object], source: str) -> ReleasedParts:
    backbone = {name[len(layout.backbone):]: value for name, value in tensors.items()
                if layout.backbone and name.startswith(layout.backbone)}
    head = {} if layout.head is None else {ours: tensors[layout.head + name] for ours, name in layout.names.items()}
    sets = {**layout.sets(tensors, layout), **_linear_probe(tensors, layout)}
    codebook = None if layout.codebook is None else tensors[layout.codebook]
    used = {**backbone, **head, **({} if codebook is None else {layout.codebook: codebook}), **{
        f'{name}.{key}': value for name, found in sets.items() for key, value in found.state.items()}}
    broken = [name for name, value in used.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(f'{source} holds values that are no finite numbers in {len(broken)} tensors, such as '
                         f'{broken[0]}: download it again from its authors')
    return ReleasedParts(method, source, backbone, _outputs(layout, settings), layout.neck if head else None, head,
                         sets, codebook, len(tensors[layout.linear]) if LINEAR in sets else None)


def _outputs(layout: Layout, settings: Dict[str, object]) -> Callable[[int], List[str]]:
    """Those of the layout, or the others that the released codes of STEGO and PriMaPs can be set to."""
    if settings.get('dino_feat_type') == 'KK' and layout.outputs is _last_tokens:
        return lambda n_blocks: ['keys']
    before_last = settings.get('dino_block', 1)  # 1 is the last one
    if isinstance(before_last, int) and before_last > 1:
        return lambda n_blocks: [f'tokens.{n_blocks - before_last}']
    return layout.outputs


def _settings_of(found) -> Dict[str, object]:
    """Texts and numbers by name of what lies beside the tensors, be it in stand-ins of omegaconf or argparse."""
    settings: Dict[str, object] = {}
    waiting, seen = [found], set()
    while waiting:
        values = waiting.pop()
        if not isinstance(values, dict) or id(values) in seen:  # a file may hold circles
            continue
        seen.add(id(values))
        for name, value in ((str(name), _opened(value)) for name, value in values.items()):
            waiting.append(value)
            if isinstance(value, (str, int, float)):
                settings[name] = value
    return settings


def _opened(value):
    """What a stand-in of a namespace, or of a dict or a value of omegaconf, stands for."""
    for _ in range(2):
        if isinstance(value, StandIn):
            value = getattr(value, 'state', None)
            value = value.get('_content', value.get('_val', value)) if isinstance(value, dict) else value
    return value


def _content_of(path: str) -> dict:
    """What is in a file; of an array, as CAUSE's codebook."""
    if str(path).endswith('.npy'):
        return dict(codebook=torch.from_numpy(_array(path)))
    checkpoint = load_with_stand_ins(path, HARMLESS, f'A released checkpoint names none: {_REMEDY}')
    damaged = damaged_record(path)
    if damaged:
        raise ValueError(f'{path} is corrupted, the checksum of {damaged} is wrong: {_REMEDY}')
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, no checkpoint: name the file of the weights')
    return checkpoint


def _tensors_of(checkpoint: dict) -> Tensors:
    """All tensors by name, those of nested dicts behind the name of these and a dot."""
    if isinstance(checkpoint.get('state_dict'), dict):  # of Lightning
        checkpoint = checkpoint['state_dict']
    return {name: value.float() for name, value in _walk(checkpoint)
            if value.is_floating_point() and value.layout == torch.strided and not value.is_meta}


def _array(path: str) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray) and found.dtype.kind == 'f':
            return found.astype(np.float32)
    except (ValueError, EOFError, zipfile.BadZipFile):  # of another kind, or cut off
        pass
    raise ValueError(f'{path} cannot be read as an array of numbers: {_REMEDY}')


def _walk(values: dict, prefix: str = '', levels: int = 3) -> List[Tuple[str, Tensor]]:
    found: List[Tuple[str, Tensor]] = []
    for name, value in values.items():
        if isinstance(value, Tensor):
            found.append((f'{prefix}{name}', value))
        elif isinstance(value, dict) and levels > 1:  # a file may hold circles
            found += _walk(value, f'{prefix}{name}.', levels - 1)
    return found
