"""The stages of :func:`mmseg_unsup.learn_folder`."""
import os
import shlex
import shutil
import time
from typing import Sequence

import numpy as np
from mmengine.config import Config
from mmengine.fileio import load

from ..datasets.image_files import mark_output, sharing_listings
from ..engine.checkpoint_files import last_checkpoint
from ..engine.run_config import prepare_training
from ..engine.training import train_config
from ..hosts.safe_loading import allow_globals
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..structures import ClusterNames
from ..structures.cluster_names import NamedClass
from ..utils.console import counted, duration, next_steps, say
from ..utils.devices import default_device
from ..utils.paths import shown
from ..utils.setup_env import register_all_modules
from ..utils.speed import adapt_loaders, trim_before_forks
from ..visualization import cluster_palette
from .checked_images import check_files, sizes_fact
from .corrections import Corrections
from .image_names import ImageNames
from .inferencer import UnsupInferencer
from .label_next import NEXT, rank_images, tell_next
from .learn_config import learning_config
from .learn_labels import Labels, tell_labels, write_labels
from .learn_request import LABELS, TRAIN, LearnRequest
from .learned_folder import LearnedFolder
from .loading import load_segmentor
from .map_files import MAPS, OVERLAYS
from .map_files import RECORD as PREDICTIONS
from .model_files import NAMES_FILE, find_names
from .predicted_folder import predict_folder
from .segment_stages import Stages

RECORD, LOG = 'learn.json', 'learn.log'
_OF_LABELS = ('train', 'maps', 'next')  # stages that depend on them


@sharing_listings()
def learn(request: LearnRequest) -> LearnedFolder:
    """Run the stages that are not finished; see :func:`mmseg_unsup.learn_folder`."""
    start = time.time()
    register_all_modules()
    images = ImageNames.of(request.images)
    stored, model = load_segmentor(None, request.checkpoint)
    names = _names_of(request, model)
    corrections = _read_corrections(request, images, names)
    palette = _palette(names, corrections.classes)
    learning_config(request, stored, model, corrections.classes, 1)  # what cannot be must fail before it writes
    os.makedirs(request.out, exist_ok=True)
    stages = Stages(request.out, request.recorded(), files=(RECORD, LOG))
    say(f'{counted(len(images), "image")} in {shown(request.images)}{sizes_fact(images.paths)}')
    stages.run('images', check_files, images.paths, request.on_error, LOG)
    labels = write_labels(corrections, request.images, request.path(LABELS), palette)
    tell_labels(labels, len(images))
    cfg = learning_config(request, stored, model, labels.classes, len(labels.paths), labels.class_weight)
    stages.depend_on('labels', f'{labels.digest}, {_n_steps(cfg)} steps', _OF_LABELS,
                     lambda: shutil.rmtree(cfg.work_dir, ignore_errors=True))
    stages.run('train', train, request, cfg, labels.classes, palette)
    stages.run('maps', make_maps, request, images, labels)
    stages.run('next', rank_images, last_checkpoint(cfg.work_dir), request.images, request.out, [*labels.paths])
    found = read_result(request, labels)
    tell_result(request, found, time.time() - start)
    return found


def _names_of(request: LearnRequest, model: ClusterSegmentor) -> ClusterNames:
    """Names and colours of what the model at hand predicts."""
    identity, path = model.cluster_identity(), find_names(request.model, None)
    names = ClusterNames.load(path) if path else ClusterNames.identity(*identity, model.background_cluster)
    names.check(*identity)
    return names


def _read_corrections(request: LearnRequest, images: ImageNames, names: ClusterNames) -> Corrections:
    named = names.names if names.path else None
    return Corrections(request.labels, images, request.classes, named, names.names, request.only)


def _palette(names: ClusterNames, classes: Sequence[str]) -> np.ndarray:
    """(C, 3) uint8 RGB: a class that the model at hand has keeps its colour, which no other one gets."""
    own = {name: tuple(color) for name, color in zip(names.names, names.palette.tolist()) if name in classes}
    others = map(tuple, cluster_palette(len(classes) + len(own)).tolist())
    free = (color for color in others if color not in own.values())
    return np.array([own.get(name) or next(free) for name in classes], np.uint8)


def _n_steps(cfg: Config) -> int:
    return cfg.train_cfg.max_epochs * cfg.train_cfg.steps_per_epoch


def train(request: LearnRequest, cfg: Config, classes: Sequence[str], palette: np.ndarray) -> str:
    """Train, or go on with the training, and write the names of the classes beside the model."""
    allow_globals(cfg.get('allowed_globals', []))
    mark_output(cfg.work_dir)
    cfg.resume = last_checkpoint(cfg.work_dir) is not None
    adapt_loaders(cfg)
    prepare_training(cfg, request)
    trim_before_forks()
    said = f'{_n_steps(cfg)} steps, {cfg.train_cfg.steps_per_epoch} an epoch'
    say(f'train: {"goes on" if cfg.resume else "begins"}, {said}, in {shown(cfg.work_dir)}')
    train_config(cfg, resume_command='the same command')
    _, model = load_segmentor(None, last_checkpoint(cfg.work_dir))
    named = tuple(NamedClass(name, tuple(color), (k, ))
                  for k, (name, color) in enumerate(zip(classes, palette.tolist())))
    ClusterNames(*model.cluster_identity(), classes=named).save(request.path(NAMES_FILE))
    return f'{_n_steps(cfg)} steps'


def make_maps(request: LearnRequest, images: ImageNames, labels: Labels) -> str:
    """Maps and overlays of every image; pixels that have a label keep it."""
    inferencer = UnsupInferencer(None, last_checkpoint(request.path(TRAIN)), request.path(NAMES_FILE),
                                 default_device(), on_error=request.on_error, amp=request.amp)
    totals = predict_folder(inferencer, images, request.out, replace=True,
                            known=lambda path, ids: labels.put_into(images.name_of(path), ids))
    return counted(totals.n_found, 'image')


def read_result(request: LearnRequest, labels: Labels) -> LearnedFolder:
    """What the finished stages have left."""
    predictions = load(request.path(PREDICTIONS))
    return LearnedFolder(
        folder=request.out,
        labels=request.path(LABELS),
        maps=request.path(MAPS),
        overlays=request.path(OVERLAYS),
        predictions=request.path(PREDICTIONS),
        checkpoint=last_checkpoint(request.path(TRAIN)),
        classes=labels.classes,
        n_labelled=len(labels.paths),
        n_images=len(predictions['images']),
        unreadable=predictions['skipped'])


def tell_result(request: LearnRequest, found: LearnedFolder, seconds: float) -> None:
    """Numbers, the files to open, and what to do next."""
    left_out = f', {len(found.unreadable)} left out' if found.unreadable else ''
    say(f'{counted(found.n_images, "image")}, {len(found.classes)} classes{left_out}, in {duration(seconds)}')
    tell_next(request.out)
    for path, content in ((found.overlays, 'look here first: the images coloured by class'),
                          (found.maps, 'a PNG of class ids per image, with the labels in it'),
                          (found.labels, 'what was learnt from'),
                          (request.path(NEXT), 'images to correct next, the most useful first')):
        say(f'{shown(path)}: {content}')
    out = shlex.quote(shown(found.folder))
    say(next_steps(f'convert-maps {out} --format label-studio', f'predict {out} OTHER_IMAGES --out OTHER_OUT'))
