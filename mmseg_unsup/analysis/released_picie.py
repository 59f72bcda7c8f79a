"""Training epochs of the released PiCIE code on this CPU, timed by phases.

The code is taken as it is from a clone of https://github.com/janghyuncho/PiCIE, and is called as its ``main`` calls it.
What it finds no more since torch 1.2 and scikit-learn 0.22, and a GPU, are put in place from outside. It asks for
torchvision, faiss, OpenCV, SciPy and Pillow. This module is meant for a process of its own, which it changes.
"""
import importlib
import io
import logging
import os
import os.path as osp
import subprocess
import sys
import tempfile
import zipfile
from types import ModuleType, SimpleNamespace
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple
from unittest import mock

import numpy as np
import torch
from torch.utils.data import DataLoader

from .stopwatch import Seconds, Stopwatch

# what of the repository its training reads; other files are notebooks, logs and pictures
CODE = ('commons.py', 'utils.py', 'train_picie.py', 'data', 'modules')
# those that it imports and that are not among the requirements of this package
NEEDED = ('torchvision', 'faiss')
# of sh_files/train_picie.sh, beside the sizes
FLAGS = ['--pretrain', '--augment', '--jitter', '--blur', '--grey', '--equiv', '--random_crop', '--h_flip',
         '--num_batches', '1', '--kmeans_n_iter', '20', '--lr', '1e-4', '--num_workers', '0']
_LOGGER = logging.getLogger('released')  # its own takes what it says; nobody reads it


class Work(NamedTuple):
    """What is trained on, and how; the same for both codes.

    Attributes:
        data_root: of the configs.
        images: paths of those of an epoch.
        n_warmup: the first of them make an epoch before the measured one, of which nothing is booked.
        weights: file of a ResNet-18 with torchvision's names; None for random weights.
        init_images: images of the first k-means of a clustering, of the released code and of our copy of it.
    """
    data_root: str
    images: Tuple[str, ...]
    n_warmup: int
    weights: Optional[str]
    size: int
    n_clusters: int
    batch_size: int
    init_images: int = 192
    seed: int = 1


def archive_of(clone: str) -> bytes:
    """The code at the head of a clone, with or without work tree, as a zip file.

    Raises:
        ValueError: it is no clone of that repository.
    """
    done = subprocess.run(['git', '-C', clone, 'archive', '--format=zip', 'HEAD', *CODE], capture_output=True)
    if done.returncode:
        told = done.stderr.decode(errors='replace').strip().splitlines()
        raise ValueError(f'{clone} has not the code of PiCIE (git says: {told[-1] if told else "nothing"}): give a '
                         'clone of https://github.com/janghyuncho/PiCIE')
    return done.stdout


def time_released(archive: bytes, work: Work, packages: Optional[str] = None) -> Dict[str, Seconds]:
    """Seconds by phase of an epoch of the released code, in this process, which is good for nothing else afterwards.

    Args:
        archive: see :func:`archive_of`.
        packages: a further folder of packages, such as torchvision.
    """
    torch.set_num_threads(1)
    if packages:
        sys.path.append(packages)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            files.extractall(folder)
        sys.path.insert(0, folder)
        _stand_in(work.weights)
        return _train(work, folder)


def _stand_in(weights: Optional[str]) -> None:
    """Put in place what the code expects of its time and of a GPU."""
    # torchvision for another build of torch has names of operators without these, which nothing here calls
    sys.modules['torchvision._meta_registrations'] = ModuleType('_meta_registrations')
    faiss, blur = importlib.import_module('faiss'), importlib.import_module('PIL.ImageFilter')
    optimize, load, radius_only = importlib.import_module('scipy.optimize'), torch.load, blur.GaussianBlur
    _add_module('torchvision.models.utils', load_state_dict_from_url=lambda url, **_: _read(weights))
    _add_module('sklearn.utils.linear_assignment_',
                linear_assignment=lambda cost: np.stack(optimize.linear_sum_assignment(cost), 1))
    # label maps that it wrote as pickles of numpy, when that was what torch.load read by default
    torch.load = lambda file: load(file, weights_only=False)
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *args, **kwargs: self
    blur.GaussianBlur = lambda radius: radius_only(float(radius))  # Pillow takes a numpy number for a pair
    faiss.StandardGpuResources = faiss.GpuIndexFlatConfig = SimpleNamespace
    faiss.GpuIndexFlatL2 = lambda resources, dim, config: faiss.IndexFlatL2(dim)


def _add_module(name: str, **members) -> None:
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__dict__.update(members)


def _read(weights: str) -> dict:
    state = torch.serialization.load(weights, map_location='cpu', weights_only=True)
    return state.get('state_dict', state)


def _train(work: Work, folder: str) -> Dict[str, Seconds]:
    commons, program, utils = map(importlib.import_module, ('commons', 'train_picie', 'utils'))
    with mock.patch.object(sys, 'argv', ['train_picie.py', *_arguments(work, folder)]):
        args = program.parse_arguments()
    args.pretrain, args.save_model_path = work.weights is not None, osp.join(folder, 'labels')
    utils.fix_seed_for_reproducability(args.seed)
    model, optimizer, _ = commons.get_model_and_optimizer(args, _LOGGER)
    stopwatch = Stopwatch()
    for kind, some in (('warm-up', work.images[:work.n_warmup]), ('measured', work.images)):
        stopwatch.reset()
        args.data_root = _coco_layout(osp.join(folder, kind), some)
        dataset = utils.get_dataset(args, 'train', *utils.get_transform_params(args))
        _train_epoch(args, dataset, model, optimizer, stopwatch)
    return {phase: seconds for (phase, _), seconds in stopwatch.seconds.items()}


def _arguments(work: Work, folder: str) -> List[str]:
    """Of its command line. Clustering takes batches of twice the size, as in the released script."""
    values = dict(data_root=folder, save_root=folder, seed=work.seed, res=work.size, res1=work.size, res2=2 * work.size,
                  K_train=work.n_clusters, K_test=work.n_clusters, batch_size_train=work.batch_size,
                  batch_size_cluster=2 * work.batch_size, num_init_batches=work.init_images // (2 * work.batch_size))
    return FLAGS + [word for name, value in values.items() for word in (f'--{name}', str(value))]


def _coco_layout(root: str, paths: Sequence[str]) -> str:
    """Links to images where the code looks for those of COCO, and the list of their names."""
    images, lists = osp.join(root, 'images', 'train2017'), osp.join(root, 'curated', 'train2017')
    os.makedirs(images)
    os.makedirs(lists)
    for i, path in enumerate(paths):
        os.symlink(osp.abspath(path), osp.join(images, f'{i}.jpg'))
    with open(osp.join(lists, 'Coco164kFull_Stuff_Coarse_7.txt'), 'w') as file:
        file.writelines(f'{i}\n' for i in range(len(paths)))
    return root


def _train_epoch(args, dataset, model, optimizer, stopwatch: Stopwatch) -> None:
    """The calls of an epoch in its ``main``, in their order, without evaluation and checkpoint."""
    commons, program, utils = map(importlib.import_module, ('commons', 'train_picie', 'utils'))
    fixed = DataLoader(dataset, args.batch_size_cluster, collate_fn=utils.collate_train)
    dataset.mode = 'compute'
    with stopwatch.span('cluster'):
        dataset.reshuffle()
        centroids = [commons.run_mini_batch_kmeans(args, _LOGGER, fixed, model, view=v)[0] for v in (1, 2)]
    with stopwatch.span('label'):
        weights = [commons.compute_labels(args, _LOGGER, fixed, model, centroids[v - 1], view=v) for v in (1, 2)]
    with stopwatch.span('train'):
        classifiers = [utils.initialize_classifier(args) for _ in centroids]
        for classifier, means in zip(classifiers, centroids):
            classifier.module.weight.data = means[:, :, None, None]
            utils.freeze_all(classifier)
        dataset.mode = 'train'
        loader = DataLoader(dataset, args.batch_size_train, shuffle=True, collate_fn=utils.collate_train)
        losses = [torch.nn.CrossEntropyLoss(weight=weight) for weight in weights]
        program.train(args, _LOGGER, loader, model, *classifiers, *losses, optimizer, 0)
