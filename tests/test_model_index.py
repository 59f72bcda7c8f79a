"""The model index lists every config, says of each what it is, and publishes the numbers of the READMEs."""
import os.path as osp
import re

import pytest
import yaml

from mmseg_unsup.weights import add_labels, weights_seen
from mmseg_unsup.utils import load_config
from .conftest import ROOT
from .test_configs import CONFIGS, images_of, name

DATA_SETS = dict(CamVidDataset='CamVid', Cityscapes27Dataset='Cityscapes 27', CityscapesDataset='Cityscapes',
                 COCOStuff27Dataset='COCO-Stuff 27', MSRCv2Dataset='MSRC v2', Potsdam3Dataset='Potsdam-3',
                 VOC2012Dataset='VOC 2012', ProceduralScenes='Procedural scenes', UnlabelledFolder='Folder of images',
                 LabelledFolder='Folder of images')
# name -> collection of the README, start of a row of a table or of a sentence, and which of the scores in it. Every
# result of the index is here: the numbers have one home, the README.
PUBLISHED = dict(
    picie_fpn_camvid=('picie', '| **PiCIE, default**', 0),
    picie_fpn_msrc=('picie', '| **PiCIE, default**', 1),
    picie_fpn_camvid_parity=('picie', '| PiCIE, the released recipe', 0),
    picie_fpn_msrc_parity=('picie', '| PiCIE, the released recipe', 1),
    picie_plain_fpn_camvid=('picie', '| PiCIE, K clusters alone', 0),
    picie_plain_fpn_msrc=('picie', '| PiCIE, K clusters alone', 1),
    picie_h_fpn_camvid=('picie', '| PiCIE+H,', 0),
    picie_h_fpn_msrc=('picie', '| PiCIE+H,', 1),
    mdc_fpn_camvid=('mdc', 'Five epochs at 160 px', 0),
    mdc_fpn_msrc=('mdc', 'Five epochs at 160 px', 1),
    iic_fpn_camvid=('iic', 'Five epochs at 160 px', 0),
    iic_fpn_msrc=('iic', 'Five epochs at 160 px', 1),
    maskcontrast_deeplabv3_msrc=('maskcontrast', '| `rbd` | 80 |', 0),
    msrc_maskcontrast_probes=('maskcontrast', '| `rbd` | 80 |', 1),
    fpn_r18_camvid=('finetune', '| PiCIE | ImageNet labels |', 2))


def read(path):
    with open(osp.join(ROOT, path), encoding='utf-8') as file:
        return yaml.safe_load(file) if path.endswith('.yml') else file.read()


METAFILES = {path: read(path) for path in read('model-index.yml')['Import']}
MODELS = [model for metafile in METAFILES.values() for model in metafile['Models']]


def test_every_config_is_listed_once():
    assert sorted(osp.join(ROOT, model['Config']) for model in MODELS) == CONFIGS
    assert all(model['Name'] == name(model['Config']) for model in MODELS)
    # mim finds configs by the name of the file, and compares in lower case
    assert len({model['Name'] for model in MODELS}) == len(MODELS)
    assert all(model['Name'] == model['Name'].lower() for model in MODELS)


def test_collections_have_the_fields_of_openmmlab():
    for path, metafile in METAFILES.items():
        collection, = metafile['Collections']
        assert collection['README'] == f'{osp.dirname(path)}/README.md'
        assert osp.isfile(osp.join(ROOT, collection['README']))
        assert {model['In Collection'] for model in metafile['Models']} == {collection['Name']}
        assert all(osp.dirname(model['Config']) == osp.dirname(path) for model in metafile['Models'])
        trained = {model['Metadata']['Training Data'] for model in metafile['Models']}
        assert set(collection['Metadata']['Training Data']) == trained, collection['Name']
        if 'Paper' in collection:
            assert collection['Paper']['Title'] and collection['Paper']['URL'].startswith('https://arxiv.org/abs/')


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_metadata_say_what_the_config_does(model):
    cfg, kind, metadata = load_config(osp.join(ROOT, model['Config'])), model['Config'].split('/')[1], model['Metadata']
    assert {'Name', 'In Collection', 'Config', 'Metadata', 'Results'} <= set(model)
    assert metadata['Training Data'] == trained_on(cfg)
    seen = metadata['Weights Seen'] if isinstance(metadata['Weights Seen'], list) else [metadata['Weights Seen']]
    assert ', '.join(seen) == seen_by_the_end(cfg, kind, metadata['Training Data'])
    if kind in ('probe', 'features'):  # trains nothing
        assert not {'Epochs', 'Iterations', 'Batch Size'} & set(metadata)
        return
    unit, key = ('Epochs', 'max_epochs') if 'max_epochs' in cfg.train_cfg else ('Iterations', 'max_iters')
    assert metadata[unit] == cfg.train_cfg[key]
    gpus = re.search(r'_(\d)xb(\d)', read(model['Config']))  # in the name of a config of mmseg
    assert metadata['Batch Size'] == cfg.train_dataloader.batch_size * (int(gpus[1]) if gpus else 1)


def trained_on(cfg):
    # the training set of MaskContrast is of any images with masks, and features have none
    is_other = cfg.model.type in ('mmseg_unsup.MaskContrast', 'mmseg_unsup.FrozenSegmentor')
    return DATA_SETS[images_of(cfg['probe_dataloader' if is_other else 'train_dataloader']).type.rpartition('.')[2]]


def seen_by_the_end(cfg, kind, data):
    if kind == 'finetune':  # from a checkpoint of PiCIE, which starts from ImageNet weights
        return add_labels('ImageNet labels', f'{data} labels')
    seen = 'none' if cfg.init is None else weights_seen(cfg.init)
    return add_labels(seen, f'{data} labels') if cfg.model.get('released_leak') else seen


def test_published_numbers_are_those_of_the_readmes():
    listed = {model['Name']: list(result['Metrics'].values()) for model in MODELS for result in model['Results'] or []}
    assert listed == {model: published(*place) for model, place in PUBLISHED.items()}


def published(collection, start, which):
    """The accuracy and mIoU, or the mIoU alone, of the text that begins so."""
    text = read(f'configs/{collection}/README.md')
    text = text[text.index(f'\n{start}') + 1 + len(start):]
    text = text.split('\n' if start.startswith('|') else '\n\n')[0]
    number = r'(\d+\.\d+) ± \d+\.\d+'
    scores = re.findall(rf'{number} / {number}', text.replace('\n', ' ')) or re.findall(number, text)
    score = scores[which]
    return [float(value) for value in (score if isinstance(score, tuple) else [score])]


def test_the_readme_names_rows_as_the_methods_do():
    """Same names, same numbers; what stands in parentheses may differ."""
    rows, of_method = rows_of('README.md'), rows_of('configs/picie/README.md')
    names = [name for name in rows if name.startswith(('PiCIE', 'MDC', 'IIC'))]
    assert len(names) == 6 and {name: of_method[name] for name in names} == {name: rows[name] for name in names}


def rows_of(path):
    """Name -> numbers of its row, of the rows that have accuracy / mIoU."""
    found = re.findall(r'^\| ([^|(]+?)(?: \([^|]*\))? \|(.* / .*)\|$', read(path), re.M)
    return {name: re.findall(r'[\d.]+ ± [\d.]+', cells) for name, cells in found}


def test_weights_are_urls_where_they_are_published():
    """Without any there is no such key: of a key with null, mmengine.hub would try to load None."""
    for model in MODELS:
        assert model.get('Weights', 'https://').startswith('https://'), model['Name']
