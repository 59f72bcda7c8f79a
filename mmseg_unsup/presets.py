"""Frozen networks, transforms, data loaders and metrics of the field as functions of their sizes and names, for configs
to call.

A config imports them below ``_base_``, even an empty one; above it mmengine takes the file for one of its lazy configs:

    _base_ = []
    from mmseg_unsup.presets import scene_loaders

What they give are plain dicts: ``Config.fromfile`` leaves out the functions, a written config holds all values, and a
config that inherits changes them as any others. A function that calculates cannot take ``{{_base_.NAME}}``, which has
its value later; one that only puts it into a dict can.
"""
import os
from pathlib import Path
from typing import List, Optional, Tuple

# more hold more batches in shared memory than they win: 11 read the views of 830 images a second
_MAX_WORKERS = 16
_CGROUP = '/sys/fs/cgroup'
_COLOR_JITTER = dict(type='mmseg_unsup.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, prob=0.8)


def image_preprocessor() -> dict:
    """``model.data_preprocessor``: RGB images with the mean and deviation of ImageNet."""
    return dict(type='mmseg_unsup.MultiViewDataPreProcessor', bgr_to_rgb=True, mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375])


def frozen_resnet(depth: int, init: Optional[str], **settings) -> dict:
    """``model.backbone`` that stays as it is: a ResNet of mmseg with the weights of the file or URL ``init``."""
    return _frozen(dict(type='ResNet', depth=depth, norm_cfg=dict(type='BN', requires_grad=False)), init, **settings)


def frozen_dino(arch: str, patch_size: int, init: Optional[str]) -> dict:
    """``model.backbone`` that stays as it is: the last patch tokens of a :class:`mmseg_unsup.DINOViT` of DINO."""
    network = dict(type='mmseg_unsup.DINOViT', family='dino', arch=arch, patch_size=patch_size)
    return _frozen(network, init, out=['tokens'])


def _frozen(network: dict, init: Optional[str], **settings) -> dict:
    start = dict(type='mmseg_unsup.PretrainedBackbone', checkpoint=init)
    # float16 as a feature cache keeps them: results are the same with and without one
    return dict(type='mmseg_unsup.FrozenBackbone', float16=True, backbone=dict(network, init_cfg=start), **settings)


def view_pipeline(size: int, num_views: int = 2) -> List[dict]:
    """The views that PiCIE, MDC (one of them) and IIC train on, squares of ``size`` pixels."""
    photometric = [
        dict(_COLOR_JITTER),
        dict(type='mmseg_unsup.RandomGrayscale', prob=0.2),
        # U(0.1, 2.0) px at 640 px in the paper
        dict(type='mmseg_unsup.GaussianBlur', sigma=(0.1 * size / 640, 2.0 * size / 640), prob=0.5)
    ]
    return [
        dict(type='mmseg_unsup.LoadImage', reduce_to=2 * size),  # the smallest crop is half the frame
        dict(type='mmseg_unsup.CenterSquareCrop'),
        dict(type='mmseg_unsup.MakeViews', num_views=num_views),
        _crop(size),
        dict(type='mmseg_unsup.ForEachView', transforms=photometric),
        dict(type='mmseg_unsup.PackViews')
    ]


def changed_view_pipeline(size: int, scale: Tuple[float, float] = (1., 1.)) -> List[dict]:
    """The views of PriMaPs-EM: the first one cropped, flipped, blurred and changed a little in colour, then the whole
    frame as evaluation sees it.

    Args:
        scale: range of the side of the crop, as a share of the side of the frame; the released code only flips.
    """
    jitter = dict(type='mmseg_unsup.ColorJitter', brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1, prob=1.)
    colors = dict(type='RandomChoice', transforms=[
        [dict(type='RandomApply', transforms=[jitter], prob=0.3)],
        [dict(type='mmseg_unsup.RandomGrayscale', prob=0.1)]])
    # blurred by up to 2 px at 320 px
    blur = dict(type='mmseg_unsup.GaussianBlur', sigma=(0.1 * size / 320, 2.0 * size / 320), prob=1.)
    return [
        dict(type='mmseg_unsup.LoadImage'),
        dict(type='mmseg_unsup.CenterSquareCrop'),
        dict(type='mmseg_unsup.MakeViews', num_views=2),
        dict(type='mmseg_unsup.PairedCropFlip', size=size, scale=scale, flip_prob=0.5),
        dict(type='mmseg_unsup.ForEachView', views=[0], transforms=[blur, colors]),
        dict(type='mmseg_unsup.PackViews')
    ]


def released_view_pipeline(size: int) -> List[dict]:
    """The views of PiCIE's released code: photometric change at twice the size before the crop [1], no grayscale [2],
    blur with a sign error [3]; the numbers are those of configs/picie/README.md."""
    photometric = [dict(_COLOR_JITTER), dict(type='mmseg_unsup.GaussianBlur', sigma=(-1.8, 0.1), prob=0.5)]
    return [
        dict(type='mmseg_unsup.LoadImage'),
        dict(type='mmseg_unsup.CenterSquareCrop', size=2 * size),
        dict(type='mmseg_unsup.MakeViews', num_views=2),
        dict(type='mmseg_unsup.ForEachView', transforms=photometric),
        _crop(size),
        dict(type='mmseg_unsup.PackViews')
    ]


def _crop(size: int) -> dict:
    return dict(type='mmseg_unsup.PairedCropFlip', size=size, scale=(0.5, 1.0), flip_prob=0.5)


def eval_pipeline(size: int, protocol: str = 'center_crop', labels: bool = True) -> List[dict]:
    """What a prediction is scored on; ``protocol`` is that of :class:`mmseg_unsup.ResizeForEvaluation`."""
    return [*_seen(labels, size=size, protocol=protocol), dict(type='PackSegInputs')]


def probe_pipeline(size: int, labels: bool = False, **protocol) -> List[dict]:
    """Training images as evaluation sees them, packed as views: for what is fitted beside the training."""
    return [
        *_seen(labels, size=size, **protocol),
        dict(type='mmseg_unsup.MakeViews', num_views=1),
        dict(type='mmseg_unsup.PackViews')
    ]


def crop_pipeline(size: int, labels: bool = False) -> List[dict]:
    """:func:`probe_pipeline` of the parts that :class:`mmseg_unsup.FiveCrops` names."""
    steps = probe_pipeline(size, labels)
    return [*steps[:1 + labels], dict(type='mmseg_unsup.CropPart'), *steps[1 + labels:]]


def _seen(labels: bool, **resize) -> List[dict]:
    loading = ['LoadImage', 'LoadLabels'] if labels else ['LoadImage']
    return [*(dict(type=f'mmseg_unsup.{name}') for name in loading),
            dict(type='mmseg_unsup.ResizeForEvaluation', **resize)]


def usable_cores() -> int:
    """Processor cores that this process may run on, by its affinity and by the quota of its container."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    try:
        quota, period = Path(_CGROUP, 'cpu.max').read_text().split()
        found = min(found, int(int(quota) / int(period)))
    except (OSError, ValueError):  # no container, or one without a quota, which says 'max'
        pass
    return max(1, found)


def n_cores() -> int:
    """Processor cores for this process, where ``torchrun`` has started several on the machine."""
    n_processes = os.environ.get('LOCAL_WORLD_SIZE', '')
    return max(1, usable_cores() // max(1, int(n_processes) if n_processes.isdecimal() else 1))


def n_data_workers() -> int:
    """Processes that read images by default: one for each core, none where there is a single one."""
    return min(n_cores(), _MAX_WORKERS) if n_cores() > 1 else 0


def loader(dataset: dict, batch_size: int, num_workers: Optional[int] = None, shuffle: bool = False,
           persistent_workers: bool = True, **settings) -> dict:
    """A loader of ``dataset``, by default in its order, with :func:`n_data_workers`."""
    num_workers = n_data_workers() if num_workers is None else num_workers
    return dict(
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=persistent_workers and num_workers > 0,
        pin_memory=True,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=dataset,
        **settings)


def view_loader(images: dict, pipeline: List[dict], batch_size: int, num_workers: Optional[int] = None,
                **settings) -> dict:
    """A loader of the views that ``pipeline`` makes of the data set ``images``, in random order."""
    dataset = dict(type='mmseg_unsup.ViewDataset', dataset=images, pipeline=pipeline, on_error='raise')
    return loader(dataset, batch_size, num_workers, True, collate_fn=dict(type='mmseg_unsup.stack_views'), **settings)


def labelled_probe_loader(images: dict, size: int, batch_size: int, num_workers: Optional[int] = None,
                          protocol: str = 'center_crop') -> dict:
    """``labelled_probe_dataloader``: training images and their labels as evaluation sees them, which are read once."""
    pipeline = probe_pipeline(size, labels=True, protocol=protocol)
    found = view_loader(images, pipeline, batch_size, num_workers, persistent_workers=False)
    found['dataset']['with_labels'] = True
    return found


def crop_loader(images: dict, size: int, batch_size: int, **settings) -> dict:
    """What changes in a ``train_dataloader`` of views that reads the five parts of every image of a data set, see
    :func:`crop_pipeline`; ``settings`` are of the data set of views."""
    parts = dict(_delete_=True, type='mmseg_unsup.FiveCrops', dataset=images)
    return dict(batch_size=batch_size, dataset=dict(dataset=parts, pipeline=crop_pipeline(size), **settings))


def sizes_apart() -> dict:
    """``shortcuts`` of a training at another size, ``train_size``, than all that is scored and fitted, ``size``."""
    return dict(
        size=[f'{name}_dataloader.**.ResizeForEvaluation.size' for name in ('probe', 'val', 'test')],
        train_size=['train_dataloader.**.ResizeForEvaluation.size'])


def supervised_pipeline(size: int) -> List[dict]:
    """Crops of ``size`` pixels of labelled images, half to all of their shorter side."""
    return [
        dict(type='mmseg_unsup.LoadImage'),
        dict(type='mmseg_unsup.LoadLabels'),
        dict(type='RandomResize', scale=(10_000, size), ratio_range=(1., 2.), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(size, size), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs')
    ]


def supervised_loader(images: dict, size: int, batch_size: int = 8, num_workers: int = 2) -> dict:
    """``train_dataloader`` of runs that count iterations: :func:`supervised_pipeline` of the labelled ``images``."""
    # without end: fewer images than a batch come more than once in it
    sampler = dict(type='InfiniteSampler', shuffle=True)
    return dict(loader(dict(images, pipeline=supervised_pipeline(size)), batch_size, num_workers), sampler=sampler)


def taught_loader(images: dict, size: int, batch_size: int) -> dict:
    """``train_dataloader`` of ``mmseg-unsup learn``: the same crops, which depend on nothing but seed, epoch and image;
    an epoch has every image ``times`` times."""
    repeated = dict(type='RepeatDataset', times=1, dataset=images)
    dataset = dict(type='mmseg_unsup.ViewDataset', dataset=repeated, pipeline=supervised_pipeline(size),
                   on_error='raise', with_labels=True)
    return loader(dataset, batch_size, shuffle=True)


def scene_loaders(kind: str, data_root: str, size: int, batch_size: int, num_workers: Optional[int] = None,
                  train: Optional[dict] = None, val: Optional[dict] = None) -> Tuple[dict, ...]:
    """``train_dataloader``, ``probe_dataloader``, ``val_dataloader`` and the same as ``test_dataloader``, of a data set
    with labels.

    Args:
        kind: type of the data set.
        size: of the views and of evaluation.
        train, val: further arguments of the data set; None for ``images/{train,val}`` and ``labels/{train,val}``.
    """
    train = train or dict(data_prefix=dict(img_path='images/train'))
    val = val or dict(data_prefix=dict(img_path='images/val', seg_map_path='labels/val'))

    def images(**settings) -> dict:
        return dict(type=kind, data_root=data_root, **settings)

    sizes = dict(batch_size=batch_size, num_workers=num_workers)
    evaluation = loader(images(**val, pipeline=eval_pipeline(size)), **sizes)
    return (view_loader(images(**train), view_pipeline(size), **sizes),
            view_loader(images(**train), probe_pipeline(size), **sizes), evaluation, evaluation)


def scores_of(prediction: str, **settings) -> dict:
    """The scores of a prediction beside the main one: named after it, without a table."""
    names = dict(prediction=prediction, prefix=prediction)
    return dict(type='mmseg_unsup.ClusterIoUMetric', **names, show_table=False, **settings)


def scores_of_stages(prediction: str, stages: int) -> dict:
    """The scores of a probe at the end of its schedule and, beside them and named so, of the stage that is best on the
    labels it is scored on."""
    return dict(type='mmseg_unsup.RepeatedIoUMetric', prediction=prediction, repeats=stages, summary='last',
                match='identity', prefix=prediction)
