"""The page that goes with a model: what it was made of, how its scores were made, and how it is used."""
import os.path as osp
from typing import Dict, Optional, Sequence

import yaml
from mmengine.config import Config

from ..analysis.config_cards import card_of_config
from ..evaluation.protocol_cards import card_table
from ..utils.run_logs import read_run_log
from ..utils.score_table import main_scores, markdown_table, number
from ..version import __version__

_TAGS = ('mmseg_unsup', 'mmsegmentation', 'semantic-segmentation')
_FOLDERS = dict(UnlabelledFolder='a folder of images', LabelledFolder='a folder of images with labels')
_UNKNOWN = 'not recorded'
_USE = '''```bash
pip install "mmseg-unsup[onedl,hub,safetensors]"
mmseg-unsup predict MODEL IMAGES --out OUT
```

```python
from mmseg_unsup import from_pretrained
ids = from_pretrained('MODEL')('IMAGE')['predictions'][0]['ids']
```

`MODEL` is this folder, or for the command `hf://OWNER/NAME` and in Python `OWNER/NAME` of this repository. Weights and
config are in `model.safetensors`, and both are read as data; `config.json` shows the config. `clusters.json`, where
there is one, has names, colours and merged clusters.
'''


def model_card(title: str, cfg: Config, meta: dict, scores: Dict[str, float], licence: Optional[str] = None,
               classes: Sequence[str] = (), uses_labels: bool = False) -> str:
    """The text of ``README.md``, with what the hub reads before it.

    Args:
        meta: of the checkpoint: ``epoch``, ``seed``, ``weights_seen``, as far as they are known.
        scores: of its epoch, name -> percent.
        licence: as the hub writes it.
        classes: names of the clusters, where they have some.
        uses_labels: the model trains by labels.
    """
    head = yaml.safe_dump(_metadata(title, cfg, scores, licence, uses_labels), sort_keys=False, allow_unicode=True)
    facts = markdown_table(['', ''], list(_facts(cfg, meta, licence, classes).items()))
    by = 'by a few labels' if uses_labels else 'without labels'
    return (f'---\n{head}---\n\n# {title}\n\nSemantic segmentation {by}, made by mmseg_unsup, a plugin for '
            f'MMSegmentation.\n\n{facts}\n\n## Scores\n\n{_scores(cfg, meta, scores)}\n\n## Use\n\n{_USE}')


def recorded_scores(checkpoint: str, meta: dict) -> Dict[str, float]:
    """The main scores that the log beside a checkpoint has of its epoch, or iteration; empty where there are none."""
    try:
        evaluations = read_run_log(osp.dirname(checkpoint) or '.').evaluations
    except OSError:
        return {}
    found = next((evaluations[meta[key]] for key in ('epoch', 'iter') if meta.get(key) in evaluations), {})
    return main_scores(found)


def _metadata(title: str, cfg: Config, scores: Dict[str, float], licence: Optional[str],
              uses_labels: bool) -> dict:
    """The block of YAML; ``model-index`` is how the hub shows scores."""
    tags = [*_TAGS, *([] if uses_labels else ['unsupervised']), _method(cfg).lower()]
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


def _facts(cfg: Config, meta: dict, licence: Optional[str], classes: Sequence[str]) -> Dict[str, object]:
    backbone = cfg.model.get('backbone') or {}
    network = backbone.get('backbone') or backbone
    size = network.get('depth', network.get('arch', ''))
    return {
        'method': _method(cfg),
        'backbone': f'{network.get("type", _UNKNOWN)} {size}'.strip() + ' (frozen)' * ('backbone' in backbone),
        'clusters': cfg.get('n_clusters') or cfg.model.decode_head.get('n_clusters', _UNKNOWN),
        **({'classes': ', '.join(classes).replace('|', r'\|')} if classes else {}),
        'trained on': _data(cfg, 'train' if cfg.get('train_dataloader') else 'probe'),
        'epochs': meta.get('epoch', _UNKNOWN),
        'seed': meta.get('seed', _UNKNOWN),
        'labels that the weights have seen': meta.get('weights_seen', _UNKNOWN),
        'licence': licence or 'not stated',
        'written by': f'mmseg_unsup {__version__}'}


def _scores(cfg: Config, meta: dict, scores: Dict[str, float]) -> str:
    if not scores:
        return 'None were recorded.'
    table = markdown_table(['score', 'percent'], [[name, number(value)] for name, value in scores.items()])
    card = card_of_config(cfg, str(meta.get('weights_seen', '')))
    protocol = '' if card is None else f'\n\n{card_table([card])}'
    return f'One run, last epoch, on {_data(cfg, "val")}; clusters matched to classes over the whole set.\n\n' \
           f'{table}{protocol}'


def _method(cfg: Config) -> str:
    return str(cfg.model.type).rpartition('.')[2]


def _data(cfg: Config, part: str) -> str:
    """The name of a data set, its class without the end of its name, or for any folder that of the folder."""
    data = (cfg.get(f'{part}_dataloader') or {}).get('dataset') or {}
    while 'dataset' in data:
        data = data['dataset']
    kind = str(data.get('type', _UNKNOWN)).rpartition('.')[2]
    return _FOLDERS.get(kind, kind.removesuffix('Dataset'))
