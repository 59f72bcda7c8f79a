"""Probes of a trained model: fitted to the training images before an evaluation, scored by its metrics."""
from typing import Callable, List, Optional, Tuple, Union

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from ...evaluation.probes import labels_on_grid
from ...evaluation.probes.protocol import check_datasets, check_metrics
from ...registry import HOOKS, PROBES
from ...utils.console import warn_once
from ...utils.config_text import parse_config_text
from ...utils.old_names import present_config
from ...weights.old_names import renamed_state
from ..feature_pass import iterate_features, limit_images, set_view_key, unwrap
from ..forecast import Pass, evaluations
from ..probe_loader import labelled_probe_dataloader, probe_dataloader
from .phase_timer_hook import time_phase

# what a model predicts with that does not say it
_PREDICTION = ('backbone.', 'neck.', 'decode_head.')


@HOOKS.register_module()
class ProbeHook(Hook):
    """One pass over the training images, with the transforms of evaluation, fits all probes; the model then predicts
    ``pred_sem_seg_<set>`` of each beside its own sets.

    Reads the images by ``labelled_probe_dataloader``; if no probe needs labels, by ``probe_dataloader``. Weights and
    batch norm statistics stay as they are. Data sets, probes and metrics are checked against each other before the
    pass, the checkpoint when it is loaded.

    Args:
        probes: configs of :class:`mmseg_unsup.KMeansProbe`, :class:`mmseg_unsup.LinearProbe`,
            :class:`mmseg_unsup.DenseKNNProbe`, :class:`mmseg_unsup.SegmentRetrievalProbe`, or probes of your own.
        max_images: images, or as a float the share of them, that the probes see; None for all.
        on_val: probe in validation too, fitted anew each time.

    Raises:
        KeyError: the config has no loader for the probes.
        TypeError: the model or loader is of the wrong kind.
        ValueError: two sets of one name; a protocol that measures something else than it says (see
            :mod:`mmseg_unsup.evaluation.probes.protocol`); a checkpoint without tensors that the features need.
    """

    # as FreshKMeansHook, and before PhaseTimerHook (LOWEST)
    priority = 'LOW'

    def __init__(self,
                 probes: List[dict],
                 max_images: Optional[Union[int, float]] = None,
                 on_val: bool = False) -> None:
        self.probes = [PROBES.build(probe) for probe in probes]
        names = [name for probe in self.probes for name in probe.set_names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise ValueError(f'several probes predict the set {twice[0]!r}: give each a name of its own' if twice else
                             'ProbeHook has no probes')
        self.max_images, self.on_val = max_images, on_val

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse a checkpoint that would leave part of the features random; a training may start from what it likes."""
        if not isinstance(runner._train_loop, BaseLoop):
            check_feature_tensors(unwrap(runner.model), checkpoint)
            check_teacher(unwrap(runner.model), checkpoint)

    def before_train(self, runner) -> None:
        """Fail now rather than at the first validation."""
        if self.on_val:
            self._check(runner, runner.val_loop)

    def passes(self, runner) -> List[Pass]:
        """One with every evaluation if asked to, see :class:`Pass`."""
        if not self.on_val:
            return []
        loader = self._loader(runner)
        return [Pass(loader, limit_images(loader, self.max_images), evaluations(runner))]

    def before_val_epoch(self, runner) -> None:
        """Fit if asked to."""
        if self.on_val:
            self._check(runner, runner.val_loop)
            self._fit(runner, runner.val_loop.dataloader.dataset)

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Let go of probes that training is about to outdate."""
        unwrap(runner.model).probes = []

    def before_test_epoch(self, runner) -> None:
        """Check, then fit."""
        self._check(runner, runner.test_loop)
        self._fit(runner, runner.test_loop.dataloader.dataset)

    def after_test_epoch(self, runner, metrics=None) -> None:
        unwrap(runner.model).probes = []

    @property
    def _needs_labels(self) -> bool:
        return any(probe.needs_labels for probe in self.probes)

    def _loader(self, runner):
        return labelled_probe_dataloader(runner) if self._needs_labels else probe_dataloader(runner)

    def _check(self, runner, loop) -> None:
        model, dataset = unwrap(runner.model), loop.dataloader.dataset
        if not hasattr(model, 'probes'):
            raise TypeError(f'{type(model).__name__} does not predict probes: they need a segmentor of this package')
        for probe in self.probes:
            if probe.features not in (None, *model.probe_channels):
                raise ValueError(f'the probe {probe.name!r} reads the features {probe.features!r}, but '
                                 f'{type(model).__name__} has {list(model.probe_channels)}')
        taken = {name for probe in self.probes for name in probe.set_names} & set(model.clusters)
        if taken:
            raise ValueError(f'the probe set {min(taken)!r} has the name of a set of the model: rename it')
        loader = self._loader(runner)
        check_datasets(loader.dataset.dataset if self._needs_labels else None, dataset)
        for line in check_metrics(loop.evaluator.metrics, self.probes, model.predictions, dataset):
            warn_once(line)

    def _fit(self, runner, dataset) -> None:
        model, dataloader = unwrap(runner.model), self._loader(runner)
        set_view_key(dataloader, runner.seed, 0)
        n_images = limit_images(dataloader, self.max_images)
        device, default = next(model.parameters()).device, next(iter(model.probe_channels))
        for probe in self.probes:
            probe.begin(model.probe_channels[probe.features or default], len(dataset.metainfo['classes']), n_images, runner.seed, device,
                        getattr(dataset, 'ignore_index', 255))
        needs_segments = any(probe.needs_segments for probe in self.probes)
        names, extract = probe_inputs(model, self._needs_labels, needs_segments)
        was_training = model.training
        model.eval()
        with time_phase('probes'):
            for positions, batch in iterate_features(model, dataloader, extract, 'probes', n_images):
                found = dict(zip(names, batch))
                for probe in self.probes:
                    probe.add(positions, found[probe.features or default], found.get('labels'), found.get('segments'))
            for probe in self.probes:
                runner.logger.info(f'probe {probe.name}: {probe.finish()}')
        model.train(was_training)
        model.probes = self.probes


def probe_inputs(model, with_labels: bool, with_segments: bool) -> Tuple[List[str], Callable]:
    """Names of what probes read, and ``(views, data_samples)`` -> the tensors, for ``iterate_features``."""
    names = [*model.probe_channels] + ['labels'] * with_labels + ['segments'] * with_segments

    def extract(views: list, samples: list) -> List[torch.Tensor]:
        feats, segments = model.forward_maps(views[0])
        tensors = list(feats.values())
        if with_labels:
            tensors.append(read_labels(samples, tensors[0]))
        if with_segments:
            tensors.append(segments())
        return tensors

    return names, extract


def read_labels(samples: list, feats: torch.Tensor) -> torch.Tensor:
    """(N, h, w) int64 labels of the cells of (N, C, h, w) features.

    Raises:
        ValueError: a sample has no labels.
    """
    if not all('gt_sem_seg' in sample for sample in samples):
        raise ValueError('the samples of labelled_probe_dataloader have no labels: put mmseg_unsup.LoadLabels after '
                         'mmseg_unsup.LoadImage in its pipeline')
    grids = [labels_on_grid(sample.gt_sem_seg.data[0], feats.shape[2:]) for sample in samples]
    return torch.stack(grids).to(feats.device)


def check_feature_tensors(model: torch.nn.Module, checkpoint: dict) -> None:
    """Every tensor that features are made of must be in the checkpoint, in the same shape; of a model that does not say
    which these are, those of its prediction.

    Raises:
        ValueError: some are not.
    """
    given = _shapes(checkpoint)
    parts = getattr(model, 'feature_parts', _PREDICTION)
    needed = {key: value.shape for key, value in model.state_dict().items()
              if key.startswith(parts) and not key.endswith('num_batches_tracked')}
    missing = [key for key, shape in needed.items() if given.get(key) != shape]
    if missing:
        raise ValueError(f'the checkpoint has {len(needed) - len(missing)} of the {len(needed)} tensors that the '
                         f'features of {type(model).__name__} need (not, or in another shape: {missing[:3]}): use the '
                         'config it was trained with, or another checkpoint')


def check_any_tensor(model: torch.nn.Module, checkpoint: dict) -> None:
    """A training may start from a part of a model, but not from a file that has nothing of it: mmengine would
    start from other weights without a word.

    Raises:
        ValueError: no tensor of the checkpoint fits the model.
    """
    given = _shapes(checkpoint)
    if not any(given.get(key) == value.shape for key, value in model.state_dict().items() if value.dim()):
        raise ValueError(f'none of the {len(given)} entries of the checkpoint in load_from is a tensor of '
                         f'{type(model).__name__} in its shape: name a checkpoint of this config')


def _shapes(checkpoint) -> dict:
    """Name -> shape of its tensors, None for what is none.

    Raises:
        ValueError: it is no dict of weights.
    """
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f'the checkpoint is a {type(checkpoint).__name__} and holds no dict of weights: name one that '
                         'mmseg-unsup train wrote')
    state = renamed_state({key.removeprefix('module.'): value for key, value in state.items()})
    return {key: getattr(value, 'shape', None) for key, value in state.items()}


def check_teacher(model: torch.nn.Module, checkpoint: dict) -> None:
    """A run predicts with the average of its weights or with the weights themselves; the probes must read the same.

    Raises:
        ValueError: the config that the checkpoint carries says one thing, the model does the other.
    """
    text = checkpoint.get('meta', {}).get('cfg')
    teacher = getattr(model, 'target_generator', None)
    if not isinstance(text, str) or teacher is None:
        return
    stored = (present_config(parse_config_text(text)).get('model') or {}).get('target_generator') or {}
    trained = stored.get('epochs')
    if (trained is not None) != teacher.predicts:
        raise ValueError(f'the run of the checkpoint had model.target_generator.epochs={trained}, this config has '
                         f'{teacher.epochs}, so the probes would read other weights than the run predicted with: set '
                         f'model.target_generator.epochs={trained}')
