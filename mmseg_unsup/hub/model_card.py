"""The page that goes with a model: what it was made of, how its scores were made, and how it is used."""
import os.path as osp
import re
from dataclasses import replace
from typing import Dict, Optional, Sequence

import yaml
from mmengine.config import Config

from ..analysis.config_cards import card_of_config
from ..apis.examples import EXAMPLES
from ..datasets.titles import title_of
from ..evaluation.protocol_cards import NO_LABELS, card_table
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..models.segmentors.taught_segmentor import TAUGHT
from ..utils.checks import is_finite
from ..utils.paths import printable
from ..utils.run_logs import read_run_log
from ..utils.score_table import main_scores, markdown_table, number
from ..version import __version__
from ..weights.weights_seen import UNKNOWN

_TAGS = ('mmseg_unsup', 'mmsegmentation', 'semantic-segmentation')
_NOT_RECORDED = 'not recorded'
_LICENCE = re.compile(r'[a-z0-9][a-z0-9.-]*')
_USE = '''```bash
pip install "mmseg-unsup[onedl,hub,safetensors]"
mmseg-unsup predict MODEL IMAGES --out OUT
```

```python
from mmseg_unsup import from_pretrained
ids = from_pretrained('MODEL')('IMAGE')['predictions'][0]['ids']
```

`MODEL` is this folder, or for the command `hf://OWNER/NAME` and in Python `OWNER/NAME` of this repository. What was
trained and the config are in `model.safetensors`, and both are read as data; `config.json` shows the config.
`clusters.json`, where there is one, has names, colours and merged clusters.
'''


def check_licence(licence: Optional[str]) -> None:
    """Raise ValueError unless the hub may have a licence of this name; None is that of no statement."""
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise ValueError(f'--license {licence!r} is no name of a licence on the hub: they have small letters, digits, '
                         'points and dashes, such as apache-2.0, cc-by-nc-4.0 or other')


def model_card(title: str, cfg: Config, segmentor: ClusterSegmentor, meta: dict, checkpoint: str,
               classes: Sequence[str] = (), licence: Optional[str] = None) -> str:
    """The text of ``README.md``, with what the hub reads before it.

    Args:
        segmentor: with the weights of the checkpoint.
        meta: of the checkpoint: ``epoch``, ``iter``, ``seed``, ``weights_seen``, as far as they are known.
        checkpoint: its path; the log of its run, with the scores, lies beside it.
        classes: their names, where the clusters have some.
        licence: as the hub writes it.
    """
    title, scores = _in_a_line(title), _recorded_scores(checkpoint, meta)
    head = yaml.safe_dump(_metadata(title, cfg, segmentor, scores, licence), sort_keys=False, allow_unicode=True)
    facts = {key: _cell(value) for key, value in _facts(cfg, segmentor, meta, classes, licence).items()}
    return (f'---\n{head}---\n\n# {title}\n\nA model of mmseg_unsup, a plugin for MMSegmentation for semantic '
            f'segmentation without labels.\n\n{markdown_table(["", ""], list(facts.items()))}\n\n## Scores\n\n'
            f'{_scores(cfg, meta, checkpoint, scores)}\n\n## Use\n\n{_USE}')


def _in_a_line(value: object) -> str:
    text = ''.join(letter if letter.isprintable() else ' ' for letter in printable(str(value)))
    return ' '.join(text.split())


def _cell(value: object) -> str:
    """A value that is one cell of a table, whatever it holds."""
    return _in_a_line(value).replace('|', '\\|')


def _recorded_scores(checkpoint: str, meta: dict) -> Dict[str, float]:
    """The main scores that the log beside a checkpoint has of its epoch, or iteration; empty where there are none."""
    try:
        evaluations = read_run_log(osp.dirname(checkpoint) or '.').evaluations
    except OSError:
        return {}
    steps = [meta.get(key) for key in ('epoch', 'iter')]
    found = next((evaluations[step] for step in steps if isinstance(step, int) and step in evaluations), {})
    return {name: value for name, value in main_scores(found).items() if is_finite(value)}


def _metadata(title: str, cfg: Config, segmentor: ClusterSegmentor, scores: Dict[str, float], licence: Optional[str]
              ) -> dict:
    """The block of YAML; ``model-index`` is how the hub shows scores."""
    tags = [*_TAGS, *([] if _learned_from_labels(segmentor) else ['unsupervised']), _method(cfg).lower()]
    head = dict(library_name='mmseg_unsup', pipeline_tag='image-segmentation', tags=tags)
    if licence:
        head['license'] = licence
    if scores:
        data = _data(cfg, 'val')
        result = dict(
            task=dict(type='image-segmentation'), dataset=dict(name=data, type=data.lower()),
            metrics=[dict(type=name, value=round(float(value), 2)) for name, value in scores.items()])
        head['model-index'] = [dict(name=title, results=[result])]
    return head


def _facts(cfg: Config, segmentor: ClusterSegmentor, meta: dict, classes: Sequence[str],
           licence: Optional[str]) -> Dict[str, object]:
    return {
        'method': _method(cfg),
        'backbone': _backbone(cfg),
        'classes' if _has_classes(segmentor) else 'clusters': segmentor.cluster_identity()[1],
        **(dict(names=', '.join(classes)) if classes else {}),
        'trained on': _data(cfg, 'train' if cfg.get('train_dataloader') else 'probe'),
        'trained for': _length(cfg, meta),
        'seed': meta.get('seed', _NOT_RECORDED),
        'labels that the weights have seen': meta.get('weights_seen', _NOT_RECORDED),
        'licence': licence or 'not stated',
        'written by': f'mmseg_unsup {__version__}'}


def _backbone(cfg: Config) -> str:
    backbone = cfg.model.get('backbone') or {}
    network = backbone.get('backbone') or backbone
    size = network.get('depth', network.get('arch'))
    kind = f'{network.get("type", _NOT_RECORDED)} {size if isinstance(size, (int, str)) else ""}'.strip()
    if network is backbone:
        return kind
    source = (network.get('init_cfg') or {}).get('checkpoint')  # of the others the weights go along
    return f'{kind}, frozen' + (f'; its weights are fetched from {source}' if source else '')


def _length(cfg: Config, meta: dict) -> str:
    """How long the training was until the checkpoint, ``'3 of 5 epochs'``, as far as it is known."""
    train_cfg = cfg.get('train_cfg') or {}
    unit = 'epoch' if train_cfg.get('by_epoch', train_cfg.get('type') != 'IterBasedTrainLoop') else 'iter'
    done, planned = meta.get(unit), train_cfg.get(f'max_{unit}s')
    if done is None:
        return _NOT_RECORDED
    words = 'epochs' if unit == 'epoch' else 'iterations'
    return f'{done} {words}' if planned in (None, done) else f'{done} of {planned} {words}'


def _scores(cfg: Config, meta: dict, checkpoint: str, scores: Dict[str, float]) -> str:
    if not scores:
        return 'None were recorded.'
    is_chosen = osp.basename(checkpoint).startswith('best_')
    table = markdown_table(['score', 'percent'], [[name, number(value)] for name, value in scores.items()])
    seen = str(meta.get('weights_seen', UNKNOWN))
    card = card_of_config(cfg, seen)
    if card is not None:
        card = replace(card, checkpoint='chosen by a score' if is_chosen else f'after {_length(cfg, meta)}',
                       labels=UNKNOWN if UNKNOWN in seen and card.labels == NO_LABELS else card.labels)
    protocol = '' if card is None else f'\n\n{card_table([card])}'
    chosen = ', a checkpoint that was chosen by a score' if is_chosen else ''
    return f'Of one run, on {_data(cfg, "val")}{chosen}.\n\n{table}{protocol}'


def _learned_from_labels(segmentor: ClusterSegmentor) -> bool:
    """Whether its training, or its examples, had labels; it may have clusters nevertheless, as CAUSE has."""
    return segmentor.uses_labels or _has_classes(segmentor)


def _has_classes(segmentor: ClusterSegmentor) -> bool:
    return segmentor.predicted_sets[0] in (TAUGHT, EXAMPLES)


def _method(cfg: Config) -> str:
    return str(cfg.model.type).rpartition('.')[2]


def _data(cfg: Config, part: str) -> str:
    """The name of a data set, its class without the end of its name; a folder of anybody's has none."""
    data = cfg.get(f'{part}_dataloader') or {}
    while data.get('dataset'):
        data = data['dataset']
    return title_of(str(data.get('type', _NOT_RECORDED)))
