"""A PiCIE run of a second: a narrow ResNet-18 on 32 px views of a folder."""
import itertools
import os.path as osp

from mmengine.runner import Runner

from mmseg_unsup.functional import unit, view_features
from mmseg_unsup.presets import eval_pipeline
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
    cfg_options = _small_options(root, n_clusters, max_epochs) | {
        'out': str(work_dir / 'maps'),
        'model.backbone.base_channels': 8,
        'model.backbone.stem_channels': 8,
        'model.backbone.init_cfg': None,
        'model.neck.in_channels': [8, 16, 32, 64],
        'model.neck.out_channels': 16,
        'model.target_generator.epochs': None,
        'model.over_clustering': [],
        'model.decode_head.in_channels': 16,
        'optim_wrapper.optimizer.lr': 1e-3,
    }
    cfg = load_config(osp.join(ROOT, 'configs', 'picie', 'picie_fpn_folder.py'))
    return _made_small(cfg, cfg_options, options, work_dir, draws)


def tiny_codes_config(method: str, root: str, work_dir, *, n_clusters: int = 3, max_epochs: int = 1,
                      draws: bool = False, variant: str = '', **options):
    """Likewise ``METHOD[_VARIANT]_r18_camvid.py`` of a method that learns codes of frozen features, those of a narrow
    ResNet-18 with random weights, on a folder."""
    images = dict(type='mmseg_unsup.UnlabelledFolder', data_root=root)
    evaluated = dict(images, pipeline=eval_pipeline(32, 'full_resolution', labels=False))
    cfg_options = _small_options(root, n_clusters, max_epochs) | {
        'init': None,
        'model.backbone.backbone.base_channels': 8,
        'model.backbone.backbone.stem_channels': 8,
        'model.neck.in_channels': 32,
        'model.neck.out_channels': 16,
        'model.decode_head.in_channels': 16,
    }
    cfg = load_config(osp.join(ROOT, 'configs', method, f'{method}{variant and "_"}{variant}_r18_camvid.py'))
    for loader in (cfg.train_dataloader, cfg.probe_dataloader):
        loader.dataset.dataset = images
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.batch_size, loader.dataset = 1, evaluated
    cfg.val_evaluator = cfg.test_evaluator = dict(type='mmseg_unsup.ClusterMaps', output_dir=str(work_dir / 'maps'),
                                                  root=root)
    cfg.default_hooks.pop('initial_evaluation', None)
    return _made_small(cfg, cfg_options, options, work_dir, draws)


def _small_options(root: str, n_clusters: int, max_epochs: int) -> dict:
    workers = {key: dict(zip(('0', 'False'), (0, False)))[value]
               for key, value in (option.split('=') for option in NO_WORKERS)}
    return dict(data_root=root, n_clusters=n_clusters, size=32) | workers | {
        'train_dataloader.batch_size': 4,
        'probe_dataloader.batch_size': 4,
        'train_cfg.max_epochs': max_epochs,
        'train_cfg.val_interval': max_epochs,
    }


def _made_small(cfg, cfg_options: dict, options: dict, work_dir, draws: bool):
    merge_options(cfg, cfg_options | {key.replace('__', '.'): value for key, value in options.items()})
    for name in () if draws else _DRAWING:
        del cfg.default_hooks[name]
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'tiny_{next(_count)}'  # runners of mmengine within a second would share a message hub
    return cfg


def tiny_runner(root: str, work_dir, **kwargs) -> Runner:
    return Runner.from_cfg(tiny_config(root, work_dir, **kwargs))


def feats_of_the_teacher(model, views, samples):
    """V maps of unit length on the grid of the first view, of the network that labels."""
    extract = model.target_generator.extract
    return [unit(feats) for feats in view_features(lambda images: extract(images)[0], views, samples)]
