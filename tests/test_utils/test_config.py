"""Names of configs, and their shortcuts."""
import os.path as osp

import pytest
from mmengine.config import Config

from mmseg_unsup.utils.config import find_config, load_config, merge_options, unapplied_shortcuts
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
    with pytest.raises(KeyError, match="init=x.pth sets 'model.backbone.init_cfg.checkpoint', above which .* None"):
        merge_options(again, dict(init='x.pth'))


def test_shortcuts_that_are_not_applied_are_known():
    name = f'{ROOT}/configs/maskcontrast/maskcontrast_deeplabv3_folder_r18.py'
    assert unapplied_shortcuts(load_config(name)) == []
    assert 'eval_size' in unapplied_shortcuts(Config.fromfile(name))
