"""Scores of a released checkpoint under several protocol cards: the work of ``mmseg-unsup evaluate-released``."""
import copy
import math
import os
import os.path as osp
from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn

from ..datasets.transforms import LoadLabels
from ..evaluation.protocol_cards import CARDS, HONEST, STARRED, ProtocolCard, card_table
from ..functional.crf import build_crf
from ..models.segmentors.released_segmentor import LINEAR
from ..registry import DATASETS, MODELS, TRANSFORMS
from ..utils import load_config
from ..utils.atomic import write_json, write_text
from ..utils.checks import check_choice
from ..utils.config import find_config
from ..utils.console import say
from ..utils.devices import default_device
from ..utils.registered import class_of
from ..utils.score_table import markdown_table, number
from ..utils.speed import adapt_loaders
from ..utils.whole_images import resizes_of

TABLE = 'evaluation.json'
PAPER = 'paper'
_SCORES = dict(aAcc='accuracy', mIoU='mIoU', counted='% counted')
_PROTOCOLS = {'whole image': 'full_resolution', 'squashed': 'squash', 'centre square': 'center_crop'}
_DATA = 'mmseg_unsup::_base_/datasets/{}.py'


def chosen_cards(method: str, names: Sequence[str], changes: Optional[dict] = None) -> List[ProtocolCard]:
    """Cards by name, for the weights of a method.

    Args:
        names: of :data:`CARDS`, or ``'paper'`` for that of the method.
        changes: fields that all of them get.

    Raises:
        ValueError: an unknown name, field or value; one of them twice.
    """
    found: List[ProtocolCard] = []
    for name in names:
        name = method if name == PAPER else name
        check_choice('protocol card', name, CARDS, f', or {PAPER} for {method}')
        card = _changed(CARDS[name].of_checkpoint(CARDS[method]), changes or {})
        if card in found:
            raise ValueError(f'--cards names {name} twice: give different ones')
        found.append(card)
    return found


def _changed(card: ProtocolCard, changes: dict) -> ProtocolCard:
    for field in changes:
        check_choice('field of a protocol card to change', field, _CHANGEABLE)
    told = ', '.join(f'{field}={value}' for field, value in changes.items())
    return replace(card, **changes, name=f'{card.name}, {told}') if changes else card


# what an evaluation decides; the others are facts of the weights
_CHANGEABLE = ('size', 'resize', 'frame', 'scales', 'flip', 'enlarged', 'crf', 'extra_clusters', 'absent_classes',
               'matching')


class LabelledData(NamedTuple):
    """The labelled images of a config, and the config of what loads them."""
    loader: Config
    dataset: BaseDataset

    @property
    def kind(self) -> str:
        return type(self.dataset).__name__

    @property
    def n_classes(self) -> int:
        return len(self.dataset.metainfo.get('classes') or ())


def labelled_data(data: str, data_root: Optional[str] = None) -> LabelledData:
    """The test images of a config, or of one that ``configs/_base_/datasets`` has under this name.

    Raises:
        FileNotFoundError: there is no such config, or a folder of its images is missing.
        ValueError: they have no labels, or nothing resizes them.
    """
    loader = _test_loader(data, data_root)
    try:
        found = LabelledData(loader, DATASETS.build(loader.dataset))
    except FileNotFoundError:
        root = loader.dataset.get('data_root')
        if not root or osp.isdir(root):
            raise
        raise FileNotFoundError(f'the folder {root!r} of the data does not exist: give --data-root FOLDER') from None
    steps = [class_of(step, TRANSFORMS) or type for step in loader.dataset.pipeline]
    if not found.n_classes or not any(issubclass(step, LoadLabels) for step in steps):
        raise ValueError(f'{found.kind} has no labels, which every protocol card needs: name a data set with labels')
    if not resizes_of(loader.dataset.pipeline):
        raise ValueError(f'the pipeline of {found.kind} has no mmseg_unsup.ResizeForEvaluation, which takes the size '
                         'of a card')
    return found


def score_under_cards(cfg: Config, model: nn.Module, title: str, data: LabelledData,
                      cards: Sequence[ProtocolCard]) -> dict:
    """Rows and cards of a table of what a :class:`mmseg_unsup.ReleasedSegmentor` scores, a row for each card and set.

    A linear probe has the cards :meth:`ProtocolCard.of_linear_probe`, and no row on data of other numbers of classes.

    Args:
        cfg: of the model.
        title: of the rows.

    Raises:
        ValueError: a card shows the network images of a size that its neck is not made for.
    """
    cards = [_whole_patches(card, cfg) for card in cards]
    for card in cards:
        _check_grid(card, cfg)
    sets, rows, used = _scored_sets(cfg, data), [], {}
    for card in cards:
        say(f'card {card.name}: {len(data.dataset)} images')
        by_set = {name: card.of_linear_probe() if name == LINEAR else card for name in sets}
        used.update((of_set.name, of_set) for of_set in by_set.values())
        rows += _rows(title, by_set, _scores(card, by_set, cfg, model.state_dict(), data.loader))
    return dict(rows=rows, cards=[card.to_dict() for card in used.values()],
                data=dict(kind=data.kind, images=len(data.dataset), classes=data.n_classes))


def _scored_sets(cfg: Config, data: LabelledData) -> List[str]:
    """Sets of a model that can be scored on a data set."""
    clusters = cfg.model.decode_head.clusters
    if LINEAR not in clusters or clusters[LINEAR].n_clusters == data.n_classes:
        return list(clusters)
    say(f'the linear probe of the checkpoint is of {clusters[LINEAR].n_clusters} classes, {data.kind} has '
        f'{data.n_classes}: it gets no row')
    return [name for name in clusters if name != LINEAR]


def write_table(report: dict, out: str) -> None:
    """Write ``evaluation.json`` and ``evaluation.md`` into a folder."""
    write_json(osp.join(out, TABLE), report)
    write_text(osp.join(out, f'{osp.splitext(TABLE)[0]}.md'), to_markdown(report))


def _test_loader(data: str, data_root: Optional[str]) -> Config:
    """The loader of the labelled images of a config, with their folder."""
    path = data
    if data.isidentifier():
        folder = osp.dirname(find_config(_DATA.format('camvid')))
        check_choice('data set', data, [osp.splitext(name)[0] for name in sorted(os.listdir(folder))
                                        if name.endswith('.py')], ', or a config')
        path = _DATA.format(data)
    cfg = load_config(path)
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise ValueError(f'{path} has no test_dataloader: name a config with labelled images, such as '
                         f'{_DATA.format("camvid")}')
    if data_root is not None:
        loader.dataset.data_root = data_root
    loader.batch_size = 1  # whole images differ in size
    holder = Config(dict(test_dataloader=loader))
    adapt_loaders(holder)
    return holder.test_dataloader


def check_fits(card: ProtocolCard, data: LabelledData, n_classes: int) -> None:
    """Raise ValueError where a card cannot be followed on a data set with the clusters of a checkpoint that was trained
    for ``n_classes``, ImportError where its CRF needs a package."""
    _check_counting(card)
    if card.counts_as_released and data.n_classes != n_classes:
        raise ValueError(f'the card {card.name!r} does not fit: it is for the {n_classes} classes of the checkpoint, '
                         f'as it tells extra clusters by their number, but {data.kind} has {data.n_classes}: give '
                         f'--cards {HONEST.name}, or a data set with those classes')
    if card.crf is not None:
        try:
            build_crf(**card.crf)
        except ImportError as error:
            raise ImportError(f'the card {card.name!r} has the CRF of its paper: {error}; or give --set crf=None, '
                              'which the table will say') from None


def _check_counting(card: ProtocolCard) -> None:
    """Raise ValueError unless a metric counts clusters as a card says."""
    if card.matching == 'identity':
        raise ValueError(f'the card {card.name!r} does not fit: clusters are no classes before they are matched, and a '
                         'linear probe is scored without matching by itself: leave matching=identity out')
    as_released = card.matching == 'hungarian' and card.absent_classes == 'matched'
    if card.counts_as_released and not as_released:
        raise ValueError(f'the card {card.name!r} does not fit: extra_clusters={card.extra_clusters}, absent_classes='
                         f'{card.absent_classes} and matching={card.matching} do not go together, as released codes '
                         'match all classes by hungarian: give --set extra_clusters=wrong "absent_classes=left out" '
                         'too, or none of the three')


def _whole_patches(card: ProtocolCard, cfg: Config) -> ProtocolCard:
    """A card whose size is a multiple of patches, 322 px in the place of 320 px where those are 14 px."""
    patch = cfg.model.backbone.backbone.patch_size
    return replace(card, size=max(1, round(card.size / patch)) * patch)


def _check_grid(card: ProtocolCard, cfg: Config) -> None:
    n_cells, patch = (cfg.model.neck or {}).get('n_cells'), cfg.model.backbone.backbone.patch_size
    if n_cells is None or card.frame == 'centre square' and (card.size // patch)**2 == n_cells:
        return
    size = math.isqrt(n_cells) * patch
    raise ValueError(f'the card {card.name!r} does not fit: the transformer head of the checkpoint has learned '
                     f'positions of {n_cells} cells, those of squares of {size} px, but the card shows it the '
                     f'{card.frame} at {card.size} px: give --set size={size} "frame=centre square"')


@torch.no_grad()
def _scores(card: ProtocolCard, by_set: Dict[str, ProtocolCard], cfg: Config, state: dict,
            loader: Config) -> Dict[str, float]:
    """``SET/METRIC`` -> value, under a card, and for each set one of its own that reads the same images."""
    model, loader = _model_for(card, by_set, cfg, state), copy.deepcopy(loader)
    for step in resizes_of(loader.dataset.pipeline):
        step.update(size=card.size, interpolation=card.resize,
                    protocol=_PROTOCOLS[card.frame])
    batches = Runner.build_dataloader(loader, seed=0)
    evaluator = Evaluator([_metric(of_set, name) for name, of_set in by_set.items()])
    evaluator.dataset_meta = batches.dataset.metainfo
    for batch in batches:
        evaluator.process(model.test_step(batch), batch)
    return evaluator.evaluate(len(batches.dataset))


def _model_for(card: ProtocolCard, by_set: Dict[str, ProtocolCard], cfg: Config, state: dict) -> nn.Module:
    settings = copy.deepcopy(cfg.model)
    settings.test_cfg.update(cluster_sets=list(by_set), scales=card.scales, flip=card.flip, enlarge=card.enlarged)
    if card.crf is not None:
        settings.test_cfg.crf = {name: dict(of_set.crf) for name, of_set in by_set.items()}
    model = MODELS.build(settings)
    model.load_state_dict(state)
    return model.to(default_device()).eval()


def _metric(card: ProtocolCard, name: str) -> dict:
    prediction = name if card.crf is None else f'{name}_crf'
    settings = dict(prediction=prediction, prefix=name, show_table=False)
    if card.counts_as_released:
        return dict(type='mmseg_unsup.ReleasedIoUMetric', extra_clusters=card.extra_clusters, **settings)
    match, _, on = card.matching.partition(' on ')
    return dict(type='mmseg_unsup.ClusterIoUMetric', match=match, match_on=on or 'count', **settings)


def _rows(title: str, by_set: Dict[str, ProtocolCard], scores: Dict[str, float]) -> List[dict]:
    found = [{metric: scores[f'{name}/{metric}'] for metric in ('aAcc', 'mIoU', 'mAcc')} for name in by_set]
    alone = [name for name in by_set if name != LINEAR]
    return [dict(name=title if alone == [name] else f'{title}, {name}', card=of_set.name,
                 scores=dict(values, counted=scores.get(f'{name}/counted', 100.)))
            for (name, of_set), values in zip(by_set.items(), found)]


def to_markdown(report: dict) -> str:
    """The scores, then the cards that they were made under."""
    rows = [[row['name'], row['card'], *(number(row['scores'][key]) for key in _SCORES)] for row in report['rows']]
    data = report['data']
    cards = [ProtocolCard(**values) for values in report['cards']]
    title = f'{report["checkpoint"]} on {data["images"]} images of {data["kind"]}, {data["classes"]} classes.'
    table = markdown_table(['', 'card', *_SCORES.values()], rows)
    return '\n\n'.join([title, table, card_table(cards), STARRED]) + '\n'
