"""What the documents name is there: files, headings, tools and their options, config keys, numbers of other tables."""
import functools
import glob
import inspect
import os.path as osp
import re
from typing import Iterator, Tuple

import cv2
import pytest
from mmengine.optim import OPTIMIZERS, OptimWrapper
from torch.utils.data import DataLoader

from mmseg_unsup.clustering import MiniBatchKMeans
from mmseg_unsup.commands import COMMANDS, make_parser
from mmseg_unsup.functional.dense_crf import CRF
from mmseg_unsup.functional.exact_crf import ExactCRF
from mmseg_unsup.functional.refinement import Refinement
from mmseg_unsup.models.segmentors import ClusterSegmentor
from mmseg_unsup.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from mmseg_unsup.utils import load_config
from ..conftest import ROOT
from .documents import DOCUMENTS, PROJECT, all_commands, anchors, blocks, inline_code, links, prose, read

REGISTRIES = (MODELS, HOOKS, METRICS, DATASETS, TRANSFORMS)
REFINEMENT = {name for cls in (Refinement, CRF, ExactCRF) for name in inspect.signature(cls).parameters}
# of other code
FOREIGN_OPTIONS = {'--nonparametric', '--gpus', '--nproc-per-node', '--ntasks', '--gpus-per-task'}
FOREIGN_KEYS = {'randomness.deterministic', 'model.backbone.init_cfg.prefix'}
FILE = re.compile(r'(?<![\w/.])((?:tools|configs|mmseg_unsup|requirements)/[\w/.-]+\.(?:py|sh|yml|txt))')
DOTTED = re.compile(r'([a-z_]+(?:\.[a-z_0-9]+)+)=?\S*')


@pytest.mark.parametrize('document', DOCUMENTS + PROJECT)
def test_links_resolve(document):
    for link in links(document):
        if link.startswith('https://'):
            continue
        path, _, anchor = link.partition('#')
        target = osp.normpath(osp.join(osp.dirname(document), path)) if path else document
        assert osp.exists(osp.join(ROOT, target)), link
        assert not anchor or anchor in list(anchors(target)), link


@pytest.mark.parametrize('document', DOCUMENTS + PROJECT)
def test_files_exist(document):
    texts = [prose(document), *(block.text for block in blocks(document))]
    told = {block.path for block in blocks(document)}  # files that the document tells to write
    for text in texts:
        for path in FILE.findall(text):
            assert path in told or 'NAME' in path or osp.exists(osp.join(ROOT, path)), path


@pytest.mark.parametrize('document', DOCUMENTS)
def test_options_of_tools_exist(document):
    known = options_of_tools() | FOREIGN_OPTIONS
    for code in inline_code(document):
        for option in re.findall(r'(?<![\w-])--[a-z][a-z-]+', code):
            assert option in known, f'{option} in `{code}`'
    for command in all_commands(document):
        if command.startswith(('python tools/', 'tools/', 'mmseg-unsup ')):
            for option in re.findall(r' (--[a-z][a-z-]+)', command):
                assert option in known, f'{option} in {command}'


@pytest.mark.parametrize('document', DOCUMENTS)
def test_commands_exist(document):
    for code in (*inline_code(document), *all_commands(document)):
        name = re.match(r'mmseg-unsup ([a-z][a-z0-9-]*)', code)
        assert not name or name[1] in COMMANDS, code


@functools.lru_cache
def options_of_tools() -> set:
    return {option for name in COMMANDS for action in make_parser(name)._actions for option in action.option_strings}


def dotted_keys() -> Iterator[Tuple[str, str]]:
    """``(document, key)`` of what stands in backticks and begins with a top-level key of our configs."""
    first = {key for cfg in configs() for key, value in cfg.items() if isinstance(value, (dict, list))}
    for document in DOCUMENTS:
        for code in inline_code(document) + all_commands(document):
            for word in code.split():
                match = DOTTED.fullmatch(word)
                if match and match[1].split('.')[0] in first and not match[1].endswith(
                        ('.onnx', '.ts', '.pth', '.safetensors')):
                    yield document, match[1]


@functools.lru_cache
def configs() -> list:
    names = ('picie/picie_fpn_camvid', 'picie/picie_fpn_folder', 'mdc/mdc_fpn_camvid', 'iic/iic_fpn_camvid',
             'maskcontrast/maskcontrast_deeplabv3_msrc', 'maskcontrast/maskcontrast_deeplabv3_folder',
             'finetune/fpn_r18_camvid', 'features/features_vit_camvid', 'probe/camvid_probes',
             'smooseg/smooseg_vit-s8_cocostuff', 'primaps/primaps_vit-s8_cocostuff', 'stego/stego_r18_camvid_linear',
             'cause/cause_r18_camvid_released-leak')
    return [load_config(osp.join(ROOT, 'configs', f'{name}.py')) for name in names]


def has_key(node, keys) -> bool:
    """Whether a config node has the key, or is of a type that takes it."""
    if not keys:
        return True
    name, *rest = keys
    if isinstance(node, (list, tuple)):
        return name.isdigit() and int(name) < len(node) and has_key(node[int(name)], rest)
    if not isinstance(node, dict):
        return False
    return name in node and has_key(node[name], rest) or not rest and name in parameters(node)


def parameters(node: dict) -> set:
    """Names of the arguments of what a node builds, those of its base classes included."""
    kind = node.get('type')
    if kind is None:  # what has no type: a data loader, the k-means of a hook
        built = DataLoader if 'dataset' in node else MiniBatchKMeans if 'n_iter' in node else object
    elif kind == 'OptimWrapper':
        built = OptimWrapper
    else:
        found = [registry.get(kind) for registry in (*REGISTRIES, OPTIMIZERS)]
        built = next((cls for cls in found if cls is not None), object)
    classes = inspect.getmro(built) if inspect.isclass(built) else [built]
    return {name for cls in classes for name in inspect.signature(cls.__init__).parameters}


def is_of_prediction(key: str) -> bool:
    """Whether it is a setting of ``test_cfg``, of which configs name those that are not as ever."""
    node, _, setting = key.removeprefix('model.').partition('.')
    name, *of_refinement = setting.split('.')
    return node == 'test_cfg' and name in ClusterSegmentor.test_settings and (
        not of_refinement or name == 'refine' and of_refinement[0] in REFINEMENT)


def test_config_keys_exist():
    keys = list(dotted_keys())
    assert len(keys) > 20
    wrong = [f'{document}: {key}' for document, key in keys if key not in FOREIGN_KEYS
             and not any(has_key(cfg._cfg_dict, key.split('.')) for cfg in configs()) and not is_of_prediction(key)]
    assert not wrong


def test_a_key_that_does_not_exist_is_found():
    cfg = configs()[0]._cfg_dict
    assert has_key(cfg, 'default_hooks.clustering.max_images'.split('.'))
    assert has_key(cfg, 'default_hooks.clustering.kmeans.chunk_bytes'.split('.'))
    assert not has_key(cfg, 'default_hooks.clustering.max_pictures'.split('.'))
    assert not has_key(cfg, 'default_hooks.clusterings.max_images'.split('.'))
    assert is_of_prediction('model.test_cfg.refine.max_cells') and is_of_prediction('test_cfg.scales')
    assert not is_of_prediction('model.test_cfg.scale') and not is_of_prediction('test_cfg.refine.cells')


def test_numbers_of_the_readme_are_those_of_the_methods():
    of_methods = ''.join(read(name) for name in DOCUMENTS if name.startswith('configs/'))
    scores = re.findall(r'[\d.]+ ± [\d.]+ / [\d.]+ ± [\d.]+', read('README.md'))
    assert len(scores) == 18 and not [score for score in scores if score not in of_methods]


def test_the_readme_is_short():
    assert len(read('README.md').splitlines()) <= 130


def test_no_sentence_stands_in_two_documents():
    seen = {}
    for document in [name for name in DOCUMENTS if not name.startswith('configs/')]:
        lines = [line for line in prose(document).splitlines() if not line.startswith(('#', '|', '!'))]
        for sentence in re.split(r'(?<=[.:;])\s+', ' '.join(lines)):
            if len(sentence) > 60:
                assert seen.setdefault(sentence, document) == document, sentence


def test_pictures_are_small_and_are_shown():
    shown = {osp.normpath(osp.join(osp.dirname(name), path)) for name in DOCUMENTS
             for path in re.findall(r'!\[[^]]+\]\(([^)]+)\)', read(name))}
    pictures = {osp.relpath(path, ROOT) for path in glob.glob(osp.join(ROOT, 'docs', 'pictures', '*'))}
    assert pictures == shown
    for path in pictures:
        assert osp.getsize(osp.join(ROOT, path)) < 200_000 and cv2.imread(osp.join(ROOT, path)) is not None


def test_variables_and_settings_are_those_of_the_config():
    cfg = configs()[0]
    assert set(cfg.shortcuts) == {'data_root', 'n_clusters', 'size', 'init', 'weights_seen', 'feature_cache'}
    assert cfg.val_dataloader.dataset.pipeline[2].type == 'mmseg_unsup.ResizeForEvaluation'
    assert cfg.model.target_generator.epochs == 4 and cfg.default_hooks.clustering.class_weights == 'inverse'
