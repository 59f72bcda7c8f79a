"""From a folder of images to segments, without labels, in one command.

    python tools/segment_folder.py IMAGES --method maskcontrast --out OUT
    python tools/segment_folder.py IMAGES --method picie --out OUT --n-clusters 12

MaskContrast looks for objects: every image gets a mask by tools/make_priors.py (OUT/masks), a network learns to tell
objects apart, and clusters of objects are what is found; 0 is background. PiCIE gives every pixel a cluster.

OUT/maps has a PNG of cluster ids per image, OUT/overlays the images coloured by them, OUT/gallery.html is a page that
shows the clusters, on which they are named and merged, and OUT/train has log and checkpoints. These are the steps
tools/train.py, tools/predict.py and tools/analysis_tools/gallery.py. The same command given again goes on where it was
stopped.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
import argparse
import json
import os
import os.path as osp
import subprocess
import sys
from typing import Dict, List, Sequence

import torch
from mmengine.fileio import load

from mmseg_unsup.datasets.image_files import find_images
from mmseg_unsup.utils.atomic import replacing
from mmseg_unsup.utils.command_line import add_speed_arguments
from mmseg_unsup.utils.config import find_config, load_config

TOOLS = osp.dirname(osp.abspath(__file__))
CONFIGS = osp.join(osp.dirname(TOOLS), 'configs')
RECORD = 'segment_folder.json'
# arguments that do not change the result
FREE_ARGUMENTS = ('out', 'workers')


def default_config(method: str) -> str:
    """The folder config of a method; a smaller network of MaskContrast where there is no GPU."""
    names = dict(picie='picie/picie_fpn_folder.py', maskcontrast='maskcontrast/maskcontrast_deeplabv3_folder.py')
    name = names[method]
    if method == 'maskcontrast' and not torch.cuda.is_available():
        name = name.replace('.py', '_r18.py')
    return osp.join(CONFIGS, name)


class Stages:
    """Which stages of a folder are finished, on disk.

    Raises:
        ValueError: the folder was made by a call with other settings.
    """

    def __init__(self, out: str, settings: Dict[str, str]) -> None:
        self.path = osp.join(out, RECORD)
        record = load(self.path) if osp.isfile(self.path) else dict(settings=settings, finished=[])
        for key in sorted({*record['settings'], *settings}):
            old, new = record['settings'].get(key), settings.get(key)
            if old != new:
                raise ValueError(f'{self.path} records {key}={old}, but this call has {new}: use another --out, or '
                                 'remove that folder')
        self.record = record
        self._write()

    def run(self, name: str, command: Sequence[str]) -> None:
        """Run a script of this folder, unless the stage was finished before.

        Raises:
            RuntimeError: it failed.
        """
        if name in self.record['finished']:
            print(f'{name}: finished before', flush=True)
            return
        print(f'{name}: {" ".join(command)}', flush=True)
        status = subprocess.run([sys.executable, osp.join(TOOLS, command[0]), *command[1:]]).returncode
        if status:
            raise RuntimeError(f'the stage {name!r} ended with status {status}, see above; after mending the cause, give '
                               'the same command again: finished stages are kept')
        self.record['finished'].append(name)
        self._write()

    def _write(self) -> None:
        with replacing(self.path) as part, open(part, 'w') as file:
            json.dump(self.record, file, indent=1)


def model_options(args: argparse.Namespace) -> List[str]:
    """Settings of the config, for all stages."""
    options = [f'data_root={args.images}', f'out={osp.join(args.out, "maps")}']
    if args.n_clusters:
        options.append(f'n_clusters={args.n_clusters}')
    if args.method == 'maskcontrast':
        options += [f'mask_root={osp.join(args.out, "masks")}', f'objects={args.objects}',
                    'train_dataloader.dataset.dataset.missing=skip']
    if args.init:
        options.append('model.backbone.init_cfg=None' if args.init == 'none' else f'init={args.init}')
    if args.epochs:
        options.append(f'train_cfg.max_epochs={args.epochs}')
        if args.method == 'maskcontrast':
            options.append(f'param_scheduler.0.end={args.epochs + 1}')
    if args.on_error == 'skip':
        options.append('on_error=skip')
    return [*options, *args.cfg_options]


def train_command(args: argparse.Namespace) -> List[str]:
    work_dir = osp.join(args.out, 'train')
    command = ['train.py', args.config, '--work-dir', work_dir]
    command += [f'--{name}' for name in ('amp', 'compile') if getattr(args, name)]
    if osp.isfile(osp.join(work_dir, 'last_checkpoint')):
        command.append('--resume')
    # the maps are a stage of their own
    return [*command, '--cfg-options', *model_options(args), f'train_cfg.val_interval={10**6}']


def model_arguments(args: argparse.Namespace) -> List[str]:
    """Config, checkpoint and images of the tools that use the trained model."""
    epochs = args.epochs or load_config(args.config).train_cfg.max_epochs
    return [args.config, osp.join(args.out, 'train', f'epoch_{epochs}.pth'), args.images]


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
    parser.add_argument('--init', help="weights to start from, with torchvision's names; 'none' for random ones (default:"
                        " the config's, which are downloaded)")
    parser.add_argument('--epochs', type=int, help="(default: the config's)")
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes that make masks')
    parser.add_argument('--on-error', choices=['raise', 'skip'], default='raise', help='of an image that is unreadable')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='further settings of the config, key=value')
    add_speed_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    args.images = osp.normpath(args.images)
    args.config = args.config or default_config(args.method)
    find_images(args.images)  # a wrong folder must fail before anything is written
    os.makedirs(args.out, exist_ok=True)
    settings = {key: str(value) for key, value in vars(args).items() if key not in FREE_ARGUMENTS}
    stages = Stages(args.out, dict(settings, config=osp.relpath(find_config(args.config), osp.dirname(TOOLS))))
    if args.method == 'maskcontrast':
        stages.run('masks', ['make_priors.py', args.images, osp.join(args.out, 'masks'), '--prior', args.prior,
                             '--workers', str(args.workers), '--on-error', args.on_error])
    stages.run('train', train_command(args))
    model, settings = model_arguments(args), ['--on-error', args.on_error, '--cfg-options', *model_options(args)]
    stages.run('maps', ['predict.py', *model, '--out', args.out, *settings])
    stages.run('gallery', ['analysis_tools/gallery.py', *model, '--out', osp.join(args.out, 'gallery.html'), *settings])
    print(f'{args.out}/maps, {args.out}/overlays, {args.out}/gallery.html')


if __name__ == '__main__':
    main()
