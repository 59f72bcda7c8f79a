"""What is wrong with the files of a config, before a run finds out."""
import copy
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from mmengine.config import Config
from torch.utils.data import Dataset

from ..registry import DATASETS, TRANSFORMS
from ..utils.progress import track_progress
from ..utils.registered import class_of
from .errors import LabelError, UnreadableImageError
from .transforms.loading import LoadImage, LoadLabels
from .transforms.masks import LoadMask
from .view_dataset import ViewDataset

TRAINING = ('train_dataloader', 'probe_dataloader', 'labelled_probe_dataloader')
EVALUATION = ('val_dataloader', 'test_dataloader')
# keys of a sample that have the paths of its labels
LABELS = LoadLabels.loads, LoadMask.loads


class Problem(NamedTuple):
    """One file that is not as it should be: ``kind`` is image, label or duplicate."""
    kind: str
    loader: str
    message: str


class _Job(NamedTuple):
    """Files to open once, by the transforms that the run would use."""
    loader: str
    info: dict
    load_image: object
    load_labels: Dict[str, object]  # by the key that holds the path
    is_scored: bool


def check_data(cfg: Config, workers: int = 8) -> Tuple[List[Problem], int]:
    """Open every image and every label map that the loaders of a config read, once.

    Finds images that cannot be read, and JPEGs that can but are damaged; label maps and object masks that cannot be
    read, have another size than their image or a value that the data set does not define; and images of a labelled
    evaluation set whose bytes are those of a training image.

    Args:
        workers: threads; decoding does not hold the lock of the interpreter.

    Returns:
        The problems in the order of the loaders, and the number of images.
    """
    problems: List[Problem] = []
    jobs = list(_jobs(cfg, problems))
    digests: Dict[str, str] = {}
    told = set()
    with ThreadPoolExecutor(workers) as pool, track_progress('checking files', len(jobs)) as advance:
        for job, (found, digest) in zip(jobs, pool.map(_open, jobs)):
            # loaders that want other labels of an image open it again
            problems += [problem for problem in found if problem.kind != 'image' or problem.message not in told]
            told.update(problem.message for problem in found)
            if digest is not None:
                digests[job.info['img_path']] = digest
            advance(1)
    return problems + list(_duplicates(jobs, digests)), len({job.info['img_path'] for job in jobs})


def check_label_sample(dataset: Dataset, count: int) -> None:
    """Read some label maps, evenly spaced over a data set, with their images; raise LabelError of those that cannot be
    used. Images that cannot be read are passed over, and so is a data set that reads no labels by
    :class:`mmseg_unsup.LoadLabels`."""
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    if not any(isinstance(transform, LoadLabels) for transform in transforms):
        return
    source, faults = dataset.dataset if isinstance(dataset, ViewDataset) else dataset, []
    for idx in np.unique(np.linspace(0, len(source) - 1, count).round().astype(int)).tolist():
        results = source.get_data_info(idx)
        try:
            for transform in transforms:
                if isinstance(transform, (LoadImage, LoadLabels)):
                    results = transform(results)
        except LabelError as error:
            faults.append(str(error))
        except UnreadableImageError:
            continue
    if faults:
        raise LabelError(*faults)


def _jobs(cfg: Config, problems: List[Problem]) -> Iterator[_Job]:
    """The files of all loaders; those that several read, with the same labels, once. A data set that reads its masks
    when it is built adds those that it cannot read to ``problems``."""
    seen = set()
    for key in (*TRAINING, *EVALUATION):
        config = copy.deepcopy((cfg.get(key) or {}).get('dataset'))
        if config is None:
            continue
        loading = {getattr(class_of(transform, TRANSFORMS), 'loads', None): transform
                   for transform in config.get('pipeline', [])}
        if LoadImage.loads not in loading:  # images that are computed
            continue
        load_image = TRANSFORMS.build(dict(loading[LoadImage.loads], reduce_to=None, strict=True))
        load_labels = {path: TRANSFORMS.build(loading[path]) for path in LABELS if path in loading}
        is_scored = key in EVALUATION and 'seg_map_path' in load_labels  # must not be among the training images
        is_view = issubclass(class_of(config, DATASETS), ViewDataset)
        try:
            dataset = DATASETS.build(config['dataset'] if is_view else dict(config, pipeline=[]))
        except LabelError as error:
            problems += [Problem('label', key, fault) for fault in error.faults]
            continue
        for idx in range(len(dataset)):
            info = dataset.get_data_info(idx)
            files = (is_scored, info['img_path'], *(info.get(path) for path in load_labels))
            if files not in seen:
                seen.add(files)
                yield _Job(key, info, load_image, load_labels, is_scored)


def _open(job: _Job) -> Tuple[List[Problem], Optional[str]]:
    """Problems of the files, and the SHA-256 of the image if it can be read."""
    results = dict(job.info)
    try:
        results = job.load_image(results)
        with open(results['img_path'], 'rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    except (UnreadableImageError, OSError) as error:
        return [Problem('image', job.loader, str(error))], None
    try:
        for path, load in job.load_labels.items():
            if path in results:
                results = load(results)
    except LabelError as error:
        return [Problem('label', job.loader, str(error))], digest
    return [], digest


def _duplicates(jobs: List[_Job], digests: Dict[str, str]) -> Iterator[Problem]:
    """Images of a labelled evaluation set that are among the training images."""
    training = {}
    for job in jobs:
        if job.loader in TRAINING and job.info['img_path'] in digests:
            training.setdefault(digests[job.info['img_path']], job.info['img_path'])
    told = set()
    for job in jobs:
        path = job.info['img_path']
        twin = training.get(digests.get(path))
        if job.is_scored and twin is not None and path not in told:
            told.add(path)
            yield Problem('duplicate', job.loader, f'the image {path} is the training image {twin}: scores on images '
                          'that were trained on say little; remove one')
