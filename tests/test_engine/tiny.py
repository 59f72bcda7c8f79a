"""A PiCIE run of a second: a narrow ResNet-18 on 32 px views of a folder."""
import itertools
import os.path as osp

from mmengine.runner import Runner

from mmseg_unsup.functional import unit, view_features
from mmseg_unsup.utils.config import load_config, merge_options
from ..conftest import NO_WORKERS, ROOT

_count = itertools.count()


# all passes, whatever the machine
FLOAT32 = dict(default_hooks__precision__without_gradient='float32')
# a quarter of the time of such a run
_DRAWING = ('report', 'cluster_pictures')


def tiny_config(root: str, work_dir, *, n_clusters: int = 3, max_epochs: int = 1, draws: bool = False, **options):
    """``picie_fpn_folder.py`` made small, by default without the hooks that draw report and pictures; ``options`` are
    dotted keys with ``__`` for the dots."""
    cfg_options = dict(data_root=root, n_clusters=n_clusters, size=32, out=str(work_dir / 'maps'))
    for option in NO_WORKERS:
        key, value = option.split('=')
        cfg_options[key] = dict(zip(('0', 'False'), (0, False)))[value]
    cfg_options.update({
        'train_dataloader.batch_size': 4,
        'probe_dataloader.batch_size': 4,
        'model.backbone.base_channels': 8,
        'model.backbone.stem_channels': 8,
        'model.backbone.init_cfg': None,
        'model.neck.in_channels': [8, 16, 32, 64],
        'model.neck.out_channels': 16,
        'model.target_generator.epochs': None,
        'model.over_clustering': [],
        'model.decode_head.in_channels': 16,
        'train_cfg.max_epochs': max_epochs,
        'train_cfg.val_interval': max_epochs,
        'optim_wrapper.optimizer.lr': 1e-3,
    })
    cfg_options.update({key.replace('__', '.'): value for key, value in options.items()})
    cfg = load_config(osp.join(ROOT, 'configs', 'picie', 'picie_fpn_folder.py'))
    merge_options(cfg, cfg_options)
    for name in () if draws else _DRAWING:
        del cfg.default_hooks[name]
    cfg.work_dir = str(work_dir)
    # runners of one second would share message hub and visualizer
    cfg.experiment_name = cfg.visualizer.name = f'tiny_{next(_count)}'
    return cfg


def tiny_runner(root: str, work_dir, **kwargs) -> Runner:
    return Runner.from_cfg(tiny_config(root, work_dir, **kwargs))


def feats_of_the_teacher(model, views, samples):
    """V maps of unit length on the grid of the first view, of the network that labels."""
    return [unit(feats) for feats in view_features(lambda images: model.target_generator.extract(images)[0], views, samples)]
