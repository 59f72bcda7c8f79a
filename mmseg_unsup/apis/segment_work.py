"""The stages of :func:`mmseg_unsup.segment_folder`."""
import os
import os.path as osp
import time
from typing import Dict, Sequence

from mmengine.config import Config
from mmengine.fileio import load

from ..datasets.image_files import find_images, mark_output, sharing_listings
from ..engine.checkpoint_files import last_checkpoint
from ..engine.run_config import prepare_training
from ..engine.starting import NEW_MODEL, fit_config
from ..engine.training import train_config
from ..hosts.safe_loading import allow_globals
from ..utils.console import counted, duration, say
from ..utils.paths import shown
from ..utils.setup_env import register_all_modules
from ..utils.speed import adapt_loaders, trim_before_forks
from ..weights import check_backbone_file, describe_network, is_transformer
from .checked_images import check_files, sizes_fact
from .gallery import make_gallery
from .image_names import ImageNames
from .inferencer import UnsupInferencer
from .label_next import rank_images
from .map_files import MAPS, OVERLAYS
from .map_files import RECORD as PREDICTIONS
from .mask_folder import RECORD as MASK_RECORD
from .mask_folder import SHEET, make_mask_folder, too_few
from .model_files import EXAMPLES_FILE, find_model
from .predicted_folder import predict_folder
from .segment_examples import find_examples, learn, make_example_maps, make_example_page, tell_examples
from .segment_request import GALLERY, Request, check_settings, n_epochs, prior_of, read_settings
from .segment_stages import LOG, Stages
from .segmented_folder import SegmentedFolder

_MAX_SURVEYED = 10000  # images that the page is made of
_MAX_CLUSTERS = 6  # that are told


@sharing_listings()
def find_segments(request: Request) -> SegmentedFolder:
    """Run the stages that are not finished; see :func:`mmseg_unsup.segment_folder`."""
    start = time.time()
    register_all_modules()
    paths = find_images(request.images)
    cfg = read_settings(request)
    check_settings(request, cfg, paths)  # what cannot be must fail before anything is written
    examples = None if request.examples is None else find_examples(request, cfg, paths)
    allow_globals(cfg.get('allowed_globals', []))
    os.makedirs(request.out, exist_ok=True)
    stages = Stages(request.out, request.recorded(), n_epochs(cfg))
    stages.depend_on_examples(examples and examples.digest)
    tell_start(request, cfg, paths)
    for folder in request.pictures if request.finds_objects else request.pictures[1:]:
        mark_output(request.path(folder))
    stages.run('images', check_files, paths, request.on_error, LOG)
    if cfg.get('init') is not None:
        stages.run('weights', load_weights, cfg)
    if request.finds_objects:
        stages.run('masks', make_masks, request, cfg, len(paths))
    if request.trains:
        stages.run('train', train, request, cfg, len(paths))
    else:
        stages.run('clusters', fit_clusters, request, cfg)
    if examples is None:
        stages.run('maps', make_maps, request, cfg, stages)
    else:
        stages.run('examples', learn, request, examples)
        stages.run('maps', make_example_maps, request)
        stages.run('next', rank_images, request.path(EXAMPLES_FILE), request.images, request.out,
                   [osp.relpath(path, request.images) for path in examples.paths])
        stages.run('page', make_example_page, request, stages)
    found = read_result(request, stages)
    tell_result(found, time.time() - start, 'cluster' if examples is None else 'class')
    if examples is not None:
        tell_examples(request)
    return found


def load_weights(cfg: Config) -> str:
    """Find out whether the weights to start from can be had and fit, before hours are spent on masks."""
    backbone = cfg.model.backbone.get('backbone') or cfg.model.backbone  # what is frozen
    network = check_backbone_file(backbone)
    found = [cfg.init if '://' in cfg.init else shown(cfg.init)]
    if is_transformer(backbone):
        found += [describe_network(backbone), network.licence]
    return ', '.join(found)


def make_masks(request: Request, cfg: Config, n_images: int) -> str:
    """Every image gets a mask."""
    out, workers = request.path('masks'), min(request.workers, n_images)
    say(f'masks: by the prior {request.prior}, in {counted(workers, "worker")}')
    record = make_mask_folder(request.images, out, prior_of(request, cfg), workers, request.on_error)
    fault = too_few(record, out)
    if fault:
        raise ValueError(fault)
    say(f'masks: {shown(osp.join(out, SHEET))} shows some of them')
    return f'{record["kept"]} of {n_images} images have one, {record["foreground_area"]["mean"]:.0%} of the pixels'


def train(request: Request, cfg: Config, n_images: int) -> str:
    """Train, or go on with the training; the maps are a stage of their own."""
    if request.finds_objects:
        n_images = load(request.path('masks', MASK_RECORD))['kept']
    cfg.train_dataloader.batch_size = min(cfg.train_dataloader.batch_size, n_images)  # what is no batch is left out
    cfg.work_dir = request.path('train')
    cfg.resume = last_checkpoint(cfg.work_dir) is not None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    for name in ('train_dataloader', 'probe_dataloader'):  # workers of one loader at a time take half the memory
        cfg[name].persistent_workers = False
    adapt_loaders(cfg)
    prepare_training(cfg, request)
    trim_before_forks()
    say(f'train: {"goes on" if cfg.resume else "begins"}, in {shown(cfg.work_dir)}')
    train_config(cfg)
    return counted(cfg.train_cfg.max_epochs, 'epoch')


def fit_clusters(request: Request, cfg: Config) -> str:
    """Cluster the features of a network as it is."""
    cfg.work_dir = request.path('train')
    adapt_loaders(cfg)
    trim_before_forks()
    say(f'clusters: begins, in {shown(cfg.work_dir)}')
    fit_config(cfg, request.path('train', NEW_MODEL))
    return counted(cfg.n_clusters, 'cluster') if 'n_clusters' in cfg else 'fitted'


def make_maps(request: Request, cfg: Config, stages: Stages) -> str:
    """Maps and overlays of every image, and the page, of many images of random ones."""
    say('maps: begin, with overlays and the page')
    mask_share = load(request.path('masks', MASK_RECORD))['foreground_area']['mean'] if request.finds_objects else None
    images, checkpoint = ImageNames.of(request.images), last_checkpoint(request.path('train'))
    found = make_gallery(cfg, checkpoint, request.images, request.path(GALLERY), on_error=request.on_error,
                         max_images=_MAX_SURVEYED, maps=request.out, mask_share=mask_share)
    stages.record['shares'] = found.survey.shares.tolist()
    n_found = len(found.paths) - len(found.unreadable)
    if len(found.paths) < len(images):
        say(f'maps: the page shows {counted(n_found, "image")}; now the others')
        totals = predict_folder(UnsupInferencer(cfg, checkpoint, on_error=request.on_error), images, request.out)
        n_found = totals.n_found
    return counted(n_found, 'image')


def read_result(request: Request, stages: Stages) -> SegmentedFolder:
    """What the finished stages have left."""
    predictions = load(request.path(PREDICTIONS))
    classes = predictions['classes']
    return SegmentedFolder(
        folder=request.out,
        maps=request.path(MAPS),
        overlays=request.path(OVERLAYS),
        predictions=request.path(PREDICTIONS),
        gallery=request.path(GALLERY),
        checkpoint=find_model(request.out),
        n_images=len(predictions['images']),
        n_clusters=len(classes) - request.finds_objects,
        shares=dict(zip(classes, stages.record.get('shares', []))),  # which former versions did not record
        unreadable=predictions['skipped'])


def tell_result(found: SegmentedFolder, seconds: float, kind: str) -> None:
    """Numbers, and the files to open; what was found are clusters, or classes of examples."""
    left_out = f', {len(found.unreadable)} left out' if found.unreadable else ''
    title = '; shares of the pixels:' if found.shares else ''
    n_found = counted(found.n_clusters, kind) if kind == 'cluster' else f'{found.n_clusters} classes'  # two at least
    say(f'{counted(found.n_images, "image")}, {n_found}{left_out}, in {duration(seconds)}{title}')
    tell_shares(found.shares)
    look = 'the clusters, to name and merge them' if kind == 'cluster' else 'the classes, and the images to label next'
    for path, content in ((found.gallery, f'look here first: {look}'),
                          (found.overlays, f'the images coloured by {kind}'),
                          (found.maps, f'a PNG of {kind} ids per image'),
                          (found.predictions, f'the share of each {kind} per image'
                           + ', and how sure the model is' * (kind == 'class'))):
        say(f'{shown(path)}: {content}')


def tell_start(request: Request, cfg: Config, paths: Sequence[str]) -> None:
    """The images, and what is done with them."""
    clusters = f', {counted(cfg.n_clusters, "cluster")}' if 'n_clusters' in cfg else ''
    say(f'{counted(len(paths), "image")} in {shown(request.images)}{sizes_fact(paths)}')
    work = counted(n_epochs(cfg), 'epoch') if request.trains else 'without training'
    say(f'{request.method}, {work}{clusters}')


def tell_shares(shares: Dict[str, float]) -> None:
    """A table of the largest clusters."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    rows, rest = ordered[:_MAX_CLUSTERS], ordered[_MAX_CLUSTERS:]
    if rest:
        rows.append((f'{len(rest)} smaller', sum(share for _, share in rest)))
    width = max((len(name) for name, _ in rows), default=0)
    for name, share in rows:
        say(f'  {name:{width}}  {share:6.1%}')
