"""Names of configs, and their shortcuts."""
import os.path as osp

import pytest
from mmengine.config import Config

from mmseg_unsup.utils.config import find_config, load_config, merge_options, unapplied_shortcuts
from mmseg_unsup.utils.config_keys import concrete_keys, find_keys
from ..conftest import ROOT

CAMVID = f'{ROOT}/configs/picie/picie_fpn_camvid.py'


@pytest.mark.parametrize('name', ['picie/picie_fpn_camvid.py', 'picie/picie_fpn_camvid', '_base_/picie.py'])
def test_names_of_this_package(name):
    path = find_config(f'mmseg_unsup::{name}')
    assert osp.samefile(path, osp.join(ROOT, 'configs', name if name.endswith('.py') else f'{name}.py'))


def test_a_name_gives_the_config_of_the_file():
    by_name = load_config('mmseg_unsup::picie/picie_fpn_camvid.py', dict(n_clusters=7))
    assert by_name.to_dict() == load_config(CAMVID, dict(n_clusters=7)).to_dict()
    assert by_name.model.decode_head.n_clusters == 7


def test_names_of_mmsegmentation():
    cfg = load_config('mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py', {'model.pretrained': None})
    assert cfg.model.decode_head.type == 'FCNHead' and cfg.model.pretrained is None


@pytest.mark.parametrize('reference, message', [
    ('mmseg_unsup::picie/picie_fpn_camvd.py', 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py or '),
    ('mmseg_unsup::picie_fpn_camvid.py', 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py or '),
    ('mmseg_unsup::pice/picie_fpn_camvid', 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py or '),
    (f'{ROOT}/configs/picie/picie_fpn_camvd.py', f'did you mean {CAMVID} or '),
    ('picie/picie_fpn_camvid.py', 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py or '),
    ('picie_fpn_camvid', 'did you mean mmseg_unsup::picie/picie_fpn_camvid.py or '),
    (f'{ROOT}/configs/picie', 'give the path of a file, or mmseg_unsup::NAME with its path below configs/'),
    ('', 'give the path of a file'),
    ('mmseg_unsup::', 'give the path of a file'),
    ('mmseg_unsup::nothing/like/it.py', 'give the path of a file'),
    ('mmsegunsup::picie/picie_fpn_camvid.py', "no installed package 'mmsegunsup' has configs"),
    ('torch::picie/picie_fpn_camvid.py', "no installed package 'torch' has configs"),
    ('../x::picie.py', "no installed package '../x' has configs"),
    ('::picie.py', "no installed package '' has configs"),
    ('mmseg_unsup::a::b.py', "no installed package 'mmseg_unsup::a' has configs"),
])
def test_what_is_misspelt_is_named_with_what_is_near(reference, message):
    with pytest.raises(FileNotFoundError) as caught:
        load_config(reference)
    assert str(caught.value).startswith(f'there is no config {reference!r}: ') and message in str(caught.value)


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mmseg_unsup::mine.py').write_text('mine = 1')
    assert load_config('mmseg_unsup::mine.py').mine == load_config(tmp_path / 'mmseg_unsup::mine.py').mine == 1


def test_a_folder_with_brackets(tmp_path):
    folder = tmp_path / 'runs [1]'
    folder.mkdir()
    (folder / 'mine.py').write_text('')
    with pytest.raises(FileNotFoundError, match=r'did you mean .*runs \[1\]/mine.py\?'):
        load_config(f'{folder}/mime.py')


@pytest.mark.parametrize('options', [dict(init=None), {'model.backbone.init_cfg': None}])
def test_a_config_that_a_run_has_written_is_read_again(tmp_path, options):
    cfg = load_config(CAMVID, options)
    cfg.dump(str(tmp_path / 'written.py'))
    again = load_config(str(tmp_path / 'written.py'), dict(n_clusters=5))
    assert again.model.backbone.init_cfg is None and again.model.decode_head.n_clusters == 5
    with pytest.raises(KeyError, match=r"init=x.pth sets 'model.backbone.\*\*.init_cfg.checkpoint', above which .* "
                       r"None"):
        merge_options(again, dict(init='x.pth'))


def test_a_written_config_keeps_what_full_keys_have_set(tmp_path):
    options = {'model.decode_head.n_clusters': 7, 'val_dataloader.**.ResizeForEvaluation.size': 64}
    load_config(CAMVID, options).dump(str(tmp_path / 'written.py'))
    cfg = load_config(str(tmp_path / 'written.py'), dict(size=32))
    found = find_keys(cfg, '*_dataloader.**.ResizeForEvaluation.size')
    sizes = {key.split('.')[0]: node[leaf] for key, node, leaf in found}
    assert sizes == dict(probe_dataloader=32, val_dataloader=64, test_dataloader=32)
    assert cfg.n_clusters == cfg.model.decode_head.n_clusters == 7
    assert load_config(str(tmp_path / 'written.py'), dict(n_clusters=9)).model.decode_head.n_clusters == 9


def test_shortcuts_that_are_not_applied_are_known():
    name = f'{ROOT}/configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py'
    assert unapplied_shortcuts(load_config(name)) == []
    assert 'eval_size' in unapplied_shortcuts(Config.fromfile(name))


NESTED = dict(
    a_loader=dict(dataset=dict(root='a', dataset=dict(root='b', steps=[
        dict(type='scope.Load', to=1),
        dict(type='Each', steps=[dict(type='Blur', sigma=2), dict(type='Load', to=3)])]))),
    b_loader=dict(dataset=dict(root='c', steps=[dict(type='Load', to=4)])), c_loader=None, out=None)


@pytest.mark.parametrize('key, found', [
    ('out', ['out']),
    ('*_loader.**.root', ['a_loader.dataset.root', 'a_loader.dataset.dataset.root', 'b_loader.dataset.root']),
    ('*_loader.dataset.root', ['a_loader.dataset.root', 'b_loader.dataset.root']),
    ('a_loader.**.Blur.sigma', ['a_loader.dataset.dataset.steps.1.steps.0.sigma']),
    ('a_loader.dataset.dataset.steps.Load.to', ['a_loader.dataset.dataset.steps.0.to']),
    ('a_loader.dataset.dataset.steps.0.to', ['a_loader.dataset.dataset.steps.0.to']),
    ('a_loader.**.Load.to', ['a_loader.dataset.dataset.steps.0.to', 'a_loader.dataset.dataset.steps.1.steps.1.to']),
    ('a_loader.**.scope.Load.to', []), ('b_loader.dataset.steps.1.to', []), ('out.x', []), ('*.y', []),
])
def test_keys_name_types_and_levels(key, found):
    cfg = Config(NESTED)
    places = [place for place in find_keys(cfg, key) if place[1] is not None]
    assert [place for place, _, _ in places] == found
    for place, node, leaf in places:
        parent = cfg
        for name in place.split('.')[:-1]:
            parent = parent[int(name)] if name.isdigit() else parent[name]
        assert parent is node and place.split('.')[-1] == str(leaf)


@pytest.mark.parametrize('key, concrete', [
    ('b_loader.dataset.steps.Load.new', ['b_loader.dataset.steps.0.new']),
    ('*_loader.dataset.root', ['a_loader.dataset.root', 'b_loader.dataset.root']),
    ('out.new', ['out.new']), ('new', ['new']), ('*.none', ['*.none']), ('b_loader.x.Load.to', ['b_loader.x.Load.to'])])
def test_options_may_name_what_is_new(key, concrete):
    assert concrete_keys(Config(NESTED), key) == concrete


def test_options_reach_types():
    key = 'train_dataloader.dataset.pipeline.LoadImage.to_float32'
    cfg = load_config(CAMVID, {'*_dataloader.batch_size': 3, 'train_dataloader.**.PairedCropFlip.flip_prob': 0})
    assert {cfg[name].batch_size for name in cfg if name.endswith('_dataloader')} == {3}
    assert next(step for step in cfg.train_dataloader.dataset.pipeline if 'flip_prob' in step).flip_prob == 0
    with pytest.raises(ValueError, match="pipeline.0 has no 'to_float32'"):
        load_config(CAMVID, {key: True})


def test_a_shortcut_sets_the_number_of_elements(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("names = ['a', 'b']\nhead = dict(names=names, n=2)\n"
                    "shortcuts = dict(names=['head.names', 'len(head.n)'])")
    cfg = load_config(path, dict(names=['a', 'b', 'c']))
    assert cfg.head.to_dict() == dict(names=['a', 'b', 'c'], n=3) and unapplied_shortcuts(cfg) == []
    cfg.dump(str(tmp_path / 'written.py'))
    assert load_config(tmp_path / 'written.py').to_dict() == cfg.to_dict()
    cfg.head.n = 4
    assert unapplied_shortcuts(cfg) == ['names']
    precise = load_config(path, {'names': ['a'], 'head.n': 7})
    assert precise.head.n == 7 and precise.shortcuts.names == ['head.names']
    merge_options(precise, dict(names=['x', 'y']))
    assert precise.head.to_dict() == dict(names=['x', 'y'], n=7)
