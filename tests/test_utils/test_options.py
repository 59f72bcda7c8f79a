"""What ``--cfg-options`` means, and which keys there are."""
import argparse
import copy
import functools
import inspect

import pytest
from mmengine.runner import Runner

from mmseg_unsup.commands.arguments import add_options_argument
from mmseg_unsup.utils.config import load_config, merge_options
from mmseg_unsup.analysis.experiments import option_words
from mmseg_unsup.utils.options import check_options, parse_options
from ..conftest import ROOT

CAMVID = f'{ROOT}/configs/picie/picie_fpn_camvid.py'
FINETUNE = f'{ROOT}/configs/finetune/fpn_r18_camvid.py'
read_once = functools.cache(load_config)


@pytest.mark.parametrize('word, value', [
    ('a=3', 3), ('a=1e-3', 1e-3), ('a=2.5', 2.5), ('a=True', True), ('a=false', False), ('a=None', None), ('a=', ''),
    ('a=[1,2]', [1, 2]), ('a=(1, 2)', (1, 2)), ('a=1,2', [1, 2]),
    ("a=['x y','1,2']", ['x y', '1,2']), ('a=[x,y]', ['x', 'y']), ('a=x,y', ['x', 'y']),
    ('a=[(a,b),(c,d)]', [('a', 'b'), ('c', 'd')]), ('a=b=c', 'b=c'), ('a=two words', 'two words'), ("a='3'", '3'),
    ("a='1,2'", '1,2'), ('a="[x]"', '[x]'), ("a=it's", "it's"), ('a=3 dogs', '3 dogs'),
    ('x.data_root=my photos, [2020]', 'my photos, [2020]'), ('data_root=2020', '2020'), ('init=[a]', '[a]'),
    ('init=None', None), ('out=1e5', '1e5'),
    ('model.backbone.out=[layer3,layer4]', ['layer3', 'layer4']), ('data_root=None of these', 'None of these'),
    ('model.backbone.init_cfg.checkpoint=a,b.pth', 'a,b.pth'), ('init=/None/r18.pth', '/None/r18.pth')])
def test_values_arrive_as_they_were_given(word, value):
    read, = parse_options([word]).values()
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    'value', ['a b', 'a,b', '[a]', '3', 'None', "it's", '1e3', 2.5, None, [1, 2], (3, 4), True, ''])
def test_a_value_is_given_to_another_process_as_it_is(value):
    for key in ('weights_seen', 'data_root'):
        if key == 'weights_seen' or isinstance(value, str) or value is None:
            assert parse_options(option_words({key: value})) == {key: value}


@pytest.mark.parametrize('words, message', [
    (['n_clusters', '5'], "takes key=value, but 'n_clusters' is none: write n_clusters=5"),
    (['a=1', 'n_clusters'], "but 'n_clusters' is none"), (['a=[b,c)'], "--cfg-options a=[b,c) has a bracket or quote"),
    (["a=(b,'c,d')e"], "a=(b,'c,d')e has a bracket or quote without its partner: write a list as [a,b]"),
    (['=5'], "but '=5' is none"),
    (['a', 'b=5'], "but 'a' is none"),
])
def test_what_is_no_option(words, message, capsys):
    parser = argparse.ArgumentParser()
    add_options_argument(parser)
    with pytest.raises(SystemExit) as end:
        parser.parse_args(['--cfg-options', *words])
    assert end.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_options_given_twice_add_up():
    parser = argparse.ArgumentParser()
    add_options_argument(parser)
    args = parser.parse_args('--cfg-options a=1 b=2 --cfg-options b=3'.split())
    assert args.cfg_options == dict(a=1, b=3)


@pytest.mark.parametrize('config, key, message', [
    (CAMVID, 'n_cluster', "the config has no 'n_cluster': did you mean n_clusters?"),
    (CAMVID, 'dataroot', "the config has no 'dataroot': did you mean data_root"),
    (CAMVID, 'data-root', 'did you mean data_root'),
    (CAMVID, 'lr', "the config has no 'lr'"),
    (CAMVID, 'train_dataloader.batchsize', "train_dataloader has no 'batchsize': did you mean batch_size"),
    (CAMVID, 'model.decode_head.nclusters', "model.decode_head has no 'nclusters': did you mean n_clusters or "
     "clusters?"),
    (CAMVID, 'model.decode_hed.n_clusters', "model has no 'decode_hed': did you mean decode_head?"),
    (CAMVID, 'model.backbone.depht', 'did you mean depth?'),
    (CAMVID, 'default_hooks.chekpoint.interval', "default_hooks has no 'chekpoint': did you mean checkpoint?"),
    (CAMVID, 'default_hooks.checkpoint.savebest', 'did you mean save_best'),  # of a base class, through **kwargs
    (CAMVID, 'randomness.sed', 'did you mean seed?'),
    (CAMVID, 'train_cfg.max_epoch', 'did you mean max_epochs?'),
    (CAMVID, 'val_evaluator.0.matching', "val_evaluator.0 has no 'matching': did you mean match"),
    (CAMVID, 'train_dataloader.dataset.dataset.indxs', 'did you mean indices?'),
    (CAMVID, 'n_clusters.x', 'n_clusters is 11, in which there are no keys'),
    (CAMVID, 'train_dataloader.dataset.pipeline.9.size', "pipeline is a list of 6, in which '9' is no number of"),
    (CAMVID, 'val_evaluator.first.match', "in which 'first' is no number of an element"),
    (FINETUNE, 'train_cfg.max_epochs', "train_cfg has no 'max_epochs'"),
    (FINETUNE, 'default_hooks.clustering.interval', "default_hooks has no 'clustering': there are checkpoint, init"),
    (FINETUNE, 'model.decode_head.n_clusters', 'did you mean num_classes?'),
])
def test_a_key_that_nothing_reads_is_refused(config, key, message):
    with pytest.raises(ValueError) as refused:
        check_options(read_once(config), {key: 3})
    assert str(refused.value).startswith(f'--cfg-options {key}: ') and message in str(refused.value)


@pytest.mark.parametrize('options', [
    dict(load_from='x'), dict(resume=True), {'find_unused_parameters': True}, dict(custom_hooks=[]),
    dict(allowed_globals=['x']), {'auto_scale_lr.enable': True}, {'experiment_name': 'x'},
    {'train_dataloader.prefetch_factor': 3}, {'model.backbone.with_cp': True}, {'model.test_cfg.stride': 3},
    {'default_hooks.mine.type': 'EMAHook', 'default_hooks.mine.momentum': 1.}, {'default_hooks.mine': None},
    {'optim_wrapper.clip_grad.max_norm': 1}, {'optim_wrapper.paramwise_cfg.norm_decay_mult': 0},
    {'optim_wrapper.optimizer.weight_decay': 0}, {'env_cfg.resource_limit': 9},
    {'train_dataloader.dataset.dataset.indices': 3}, {'train_dataloader.dataset.dataset.data_prefix.seg_map_path': 'x'},
    {'model.type': 'mmseg_unsup.IIC', 'model.max_displacement': 1},  # an argument of the new type
    {'model.neck': dict(type='X'), 'model.neck.mine': 3}, {'default_hooks.checkpoint.save_best': 'mIoU'},
    {'visualizer.save_dir': 'x'}, {'probe_dataloader.timeout': 9}])
def test_new_keys_that_are_read(options):
    cfg = copy.deepcopy(read_once(CAMVID))
    merge_options(cfg, options)
    for key, value in options.items():
        node = cfg
        for name in key.split('.'):
            node = node[name]
        assert node == value or key == 'model.neck'


def test_every_argument_of_the_runner_can_be_given():
    check_options(read_once(CAMVID), dict.fromkeys(list(inspect.signature(Runner.__init__).parameters)[1:]))


@pytest.mark.parametrize('config', [CAMVID, FINETUNE])
def test_vis_backends_reach_the_visualizer(config, tmp_path):
    both = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    cfg = load_config(config, parse_options(['vis_backends=[LocalVisBackend,TensorboardVisBackend]']))
    assert cfg.visualizer.vis_backends == cfg.vis_backends == both
    merge_options(cfg, parse_options(['vis_backends=TensorboardVisBackend']))
    assert cfg.visualizer.vis_backends == both[1:]
    merge_options(cfg, {'visualizer.vis_backends': both})
    assert cfg.visualizer.vis_backends == both

    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = {config!r}\nvis_backends = {both!r}\n")
    assert load_config(str(child)).visualizer.vis_backends == both
    child.write_text(f"_base_ = {config!r}\nvisualizer = dict(vis_backends={both[1:]!r})\n")
    assert load_config(str(child)).visualizer.vis_backends == both[1:]
