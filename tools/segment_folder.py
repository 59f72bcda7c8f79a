"""From a folder of images to segments, without labels, in one command.

    python tools/segment_folder.py IMAGES --method maskcontrast --out OUT
    python tools/segment_folder.py IMAGES --method picie --out OUT --n-clusters 12

MaskContrast looks for objects: every image gets a mask as by tools/make_priors.py (OUT/masks), a network learns to tell
objects apart, and clusters of objects are what is found; 0 is background. PiCIE gives every pixel a cluster.

OUT/maps has a PNG of cluster ids per image, OUT/overlays the images coloured by them, OUT/predictions.json the share of
each cluster per image, OUT/gallery.html is a page that shows the clusters, on which they are named and merged, and
OUT/train has log and checkpoints.

The same command given again goes on where it was stopped; with more --epochs, the training goes on. Exit status: 0
finished; 75 stopped by SIGTERM or SIGUSR1 in the training, after a checkpoint was written; 1 an error.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
import json
import os
import os.path as osp
from typing import Dict, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.runner import CheckpointLoader

from mmseg_unsup.apis.gallery import make_gallery
from mmseg_unsup.apis.image_input import unreadable_images
from mmseg_unsup.apis.inferencer import WHOLE_BYTES
from mmseg_unsup.apis.mask_folder import RECORD as MASK_RECORD
from mmseg_unsup.apis.mask_folder import make_mask_folder, prior_config, too_few
from mmseg_unsup.datasets.image_files import check_output, find_images, mark_output
from mmseg_unsup.engine.training import train_config
from mmseg_unsup.utils.atomic import write_json
from mmseg_unsup.utils.checks import at_least
from mmseg_unsup.utils.command_line import add_options_argument, add_speed_arguments, prepare_training
from mmseg_unsup.utils.config import find_config, load_config
from mmseg_unsup.utils.data_workers import ending_data_workers
from mmseg_unsup.utils.paths import printable
from mmseg_unsup.hosts.safe_loading import allow_globals
from mmseg_unsup.utils.setup_env import register_all_modules
from mmseg_unsup.utils.speed import adapt_loaders, trim_before_forks

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))
RECORD = 'segment_folder.json'
FOLDERS = ('masks', 'train', 'maps', 'overlays')  # below OUT
CHECKS = ('images', 'weights')  # stages that make nothing
# arguments that do not change the result
FREE_ARGUMENTS = ('out', 'workers')
EPOCHS = 'train_cfg.max_epochs'
MAX_CLUSTERS = 2**15 - 1  # ids are int16


def default_config(method: str) -> str:
    """The folder config of a method; a small one where there is no GPU."""
    small, large = dict(
        picie=('picie/picie_fpn_folder_small.py', 'picie/picie_fpn_folder.py'),
        maskcontrast=('maskcontrast/maskcontrast_deeplabv3_folder_r18.py',
                      'maskcontrast/maskcontrast_deeplabv3_folder.py'))[method]
    return osp.join(ROOT, 'configs', large if torch.cuda.is_available() else small)


class Stages:
    """Which stages of a folder are finished, on disk.

    Args:
        settings: plain values that must be the same in every call.
        epochs: of the training; more of them than before undo what depends on it.

    Raises:
        ValueError: the folder was made by a call with other settings, or has been trained for longer; its record is
            broken.
    """

    def __init__(self, out: str, settings: Dict, epochs: int) -> None:
        self.path = osp.join(out, RECORD)
        record = self._read()
        if record is None or not set(record['finished']) - {*CHECKS}:  # nothing was made of the former settings
            record = dict(settings=settings, epochs=epochs, finished=[])
        remedy = 'use another --out, or remove that folder'
        for key in sorted({*record['settings'], *settings}):
            old, new = record['settings'].get(key), settings.get(key)
            if old != new:
                raise ValueError(f'{self.path} records {key}={old!r}, but this call has {new!r}: {remedy}')
        if epochs < record.get('epochs', epochs):
            raise ValueError(f'{self.path} records a training of {record["epochs"]} epochs, but this call has '
                             f'{epochs}: {remedy}')
        if epochs != record.get('epochs'):
            record['finished'] = [name for name in record['finished'] if name in (*CHECKS, 'masks')]
        self.record = dict(record, epochs=epochs)
        self._write()

    def run(self, name: str, stage, *args) -> None:
        """Call a function, unless the stage was finished before."""
        if name in self.record['finished']:
            print(f'{name}: finished before', flush=True)
            return
        print(f'{name}: begins', flush=True)
        stage(*args)
        self.record['finished'].append(name)
        self._write()

    def _read(self) -> Optional[Dict]:
        if not osp.isfile(self.path):
            return None
        try:
            record = load(self.path)
            assert isinstance(record['settings'], dict) and isinstance(record['finished'], list)
        except (ValueError, KeyError, TypeError, AssertionError):
            raise ValueError(f'{self.path} is no record of this tool: remove that file, and what lies beside it, or '
                             'use another --out') from None
        return record

    def _write(self) -> None:
        write_json(self.path, self.record)


def read_settings(args: argparse.Namespace) -> Config:
    """The config with all that the arguments say."""
    options = dict(data_root=args.images, on_error=args.on_error)
    if args.n_clusters is not None:
        options['n_clusters'] = args.n_clusters
    if args.method == 'maskcontrast':
        options.update({'mask_root': osp.abspath(osp.join(args.out, 'masks')), 'objects': args.objects,
                        'train_dataloader.dataset.dataset.missing': 'skip'})
    if args.init is not None:
        options['init'] = None if args.init == 'none' else args.init
    if args.epochs is not None:
        options[EPOCHS] = args.epochs
    default_epochs = load_config(args.config).train_cfg.max_epochs
    cfg = load_config(args.config, {**options, **args.cfg_options})
    for schedule in cfg.get('param_scheduler') or []:
        if schedule.get('end') == default_epochs + 1:  # it falls until the training ends
            schedule.end = cfg.train_cfg.max_epochs + 1
    return cfg


def check_settings(args: argparse.Namespace, cfg: Config, paths: Sequence[str]) -> None:
    """Raise ValueError for what a run of hours would end with."""
    least, most = (2, MAX_CLUSTERS) if args.method == 'picie' else (1, MAX_CLUSTERS - 1)
    if args.method == 'maskcontrast' and args.objects == 'image':
        most = min(most, len(paths))  # objects
    if args.n_clusters is not None and not least <= args.n_clusters <= most:
        raise ValueError(f'--n-clusters {args.n_clusters} cannot be found in {len(paths)} images by {args.method}: '
                         f'give a number from {least} to {most}')
    if args.method == 'maskcontrast':
        prior_config(args.prior)
    if cfg.train_cfg.max_epochs < 1:
        raise ValueError(f'the training has {cfg.train_cfg.max_epochs} epochs: give at least 1')
    if args.init not in (None, 'none') and '://' not in args.init and not osp.isfile(args.init):
        raise FileNotFoundError(f'there is no file of weights {args.init!r}: give its path, or --init none to start '
                                'from random weights')
    if osp.exists(args.out) and not osp.isdir(args.out):
        raise ValueError(f'--out {args.out} is a file: give a folder')
    if printable(args.out) != args.out:  # torch writes no such file
        raise ValueError(f'the name --out {printable(args.out)} is no UTF-8: give another')
    for folder in FOLDERS:
        check_output(osp.join(args.out, folder), args.images)


def settings_of(args: argparse.Namespace) -> Dict:
    """What must be the same in every call, as plain values."""
    settings = {key: value for key, value in vars(args).items() if key not in (*FREE_ARGUMENTS, 'epochs')}
    options = {key: value for key, value in args.cfg_options.items() if key != EPOCHS}
    return json.loads(json.dumps(dict(settings, images=osp.realpath(args.images),
                                      config=osp.relpath(args.config, ROOT), cfg_options=options)))


def check_files(args: argparse.Namespace, paths: Sequence[str]) -> None:
    """Say which images cannot be read, before anything is made of them."""
    faults = unreadable_images(paths, lambda shape: WHOLE_BYTES * shape[0] * shape[1])
    for fault in faults:
        print(fault, flush=True)
    if faults and (args.on_error == 'raise' or len(faults) == len(paths)):
        raise ValueError(f'{len(faults)} of {len(paths)} images cannot be read, see above: mend or remove them, or '
                         'leave them out by --on-error skip')


def load_weights(cfg: Config) -> None:
    """Find out whether the weights to start from can be had, before hours are spent on masks."""
    CheckpointLoader.load_checkpoint(cfg.init, map_location='cpu')


def make_masks(args: argparse.Namespace) -> None:
    """Every image gets a mask."""
    out = osp.join(args.out, 'masks')
    record = make_mask_folder(args.images, out, prior_config(args.prior), args.workers, args.on_error)
    fault = too_few(record, out)
    if fault:
        raise ValueError(fault)


def mask_record(args: argparse.Namespace) -> Dict:
    return load(osp.join(args.out, 'masks', MASK_RECORD))


def train(args: argparse.Namespace, cfg: Config, n_images: int) -> None:
    """Train, or go on with the training; the maps are a stage of their own."""
    if args.method == 'maskcontrast':
        n_images = mask_record(args)['kept']
    cfg.train_dataloader.batch_size = min(cfg.train_dataloader.batch_size, n_images)  # what is no batch is left out
    cfg.work_dir = osp.join(args.out, 'train')
    cfg.resume = osp.isfile(osp.join(cfg.work_dir, 'last_checkpoint'))
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    for name in ('train_dataloader', 'probe_dataloader'):  # workers of one loader at a time take half the memory
        cfg[name].persistent_workers = False
    adapt_loaders(cfg)
    prepare_training(cfg, args)
    trim_before_forks()
    train_config(cfg)


def make_maps(args: argparse.Namespace, cfg: Config) -> None:
    """Look at every image once, for maps, overlays and page."""
    checkpoint = osp.join(args.out, 'train', f'epoch_{cfg.train_cfg.max_epochs}.pth')
    mask_share = mask_record(args)['foreground_area']['mean'] if args.method == 'maskcontrast' else None
    found = make_gallery(cfg, checkpoint, args.images, osp.join(args.out, 'gallery.html'), on_error=args.on_error,
                         maps=args.out, mask_share=mask_share)
    print(f'{len(found.paths) - len(found.unreadable)} images, {found.survey.n_clusters} clusters, '
          f'{len(found.unreadable)} left out')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', help='folder of images, with sub-folders')
    parser.add_argument('--method', choices=['maskcontrast', 'picie'], default='maskcontrast',
                        help='objects, or every pixel (default: %(default)s)')
    parser.add_argument('--out', required=True, help='folder of everything that is written')
    parser.add_argument('--n-clusters', type=int, help="number of clusters (default: the config's)")
    parser.add_argument('--prior', default='rbd', help='of the masks, see tools/make_priors.py (default: %(default)s)')
    parser.add_argument('--objects', choices=['image', 'components'], default='image',
                        help='one object an image, or several (default: %(default)s)')
    parser.add_argument('--config', help='of the method; by default its folder config, a small one without a GPU')
    parser.add_argument('--init', help="weights to start from, with torchvision's names; 'none' for random ones "
                        "(default: the config's, which are downloaded)")
    parser.add_argument('--epochs', type=int, help="(default: the config's)")
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(), help='processes that make masks')
    parser.add_argument('--on-error', choices=['raise', 'skip'], default='raise', help='of an image that is unreadable')
    add_options_argument(parser, 'further settings of the config, key=value')
    add_speed_arguments(parser)
    parser.set_defaults(cfg_options={})
    return parser.parse_args()


@ending_data_workers()
def main() -> None:
    args = parse_args()
    args.images, args.out = osp.abspath(args.images), osp.normpath(args.out)
    args.config = osp.abspath(find_config(args.config or default_config(args.method)))
    register_all_modules()
    paths = find_images(args.images)
    cfg = read_settings(args)
    check_settings(args, cfg, paths)  # what cannot be must fail before anything is written
    allow_globals(cfg.get('allowed_globals', []))
    os.makedirs(args.out, exist_ok=True)
    stages = Stages(args.out, settings_of(args), cfg.train_cfg.max_epochs)
    for folder in FOLDERS[args.method == 'picie':]:
        mark_output(osp.join(args.out, folder))
    stages.run('images', check_files, args, paths)
    if cfg.get('init') is not None:
        stages.run('weights', load_weights, cfg)
    if args.method == 'maskcontrast':
        stages.run('masks', make_masks, args)
    stages.run('train', train, args, cfg, len(paths))
    stages.run('maps', make_maps, args, cfg)
    print(f'{args.out}/maps, {args.out}/overlays, {args.out}/predictions.json, {args.out}/gallery.html')


if __name__ == '__main__':
    main()
