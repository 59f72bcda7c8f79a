"""Probes of a trained model: fitted to the training images before an evaluation, scored by its metrics."""
from typing import List, Optional, Sequence, Tuple, Union

import torch
from mmengine.runner import BaseLoop

from ...evaluation.probes.protocol import check_datasets, check_metrics
from ...registry import HOOKS, PROBES
from ...utils.config_text import parse_config_text
from ...utils.console import warn_once
from ...utils.old_names import present_config
from ...weights.tensor_names import renamed_state
from ..feature_pass import unwrap
from ..fitting import FeatureBatch
from .fit_hook import FitHook
from .fresh_kmeans_hook import FreshKMeansHook

# what a model predicts with that does not say it
_PREDICTION = ('backbone.', 'neck.', 'decode_head.')


@HOOKS.register_module()
class ProbeHook(FitHook):
    """Fits probes to the training images, with the transforms of evaluation; the model then predicts
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

    name = phase = 'probes'

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
        self.needs_labels = any(probe.needs_labels for probe in self.probes)
        self.reads_clusters = any(probe.needs_segments for probe in self.probes)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse a checkpoint that would leave part of the features random; a training may start from what it likes."""
        if not isinstance(runner._train_loop, BaseLoop):
            check_feature_tensors(unwrap(runner.model), checkpoint)
            check_teacher(unwrap(runner.model), checkpoint)

    def before_train(self, runner) -> None:
        """Fail now rather than at the first validation."""
        if self.on_val:
            self._check(runner, runner.val_loop)

    def before_val(self, runner) -> None:
        super().before_val(runner)
        if self.on_val:
            self._check(runner, runner.val_loop)

    def before_test(self, runner) -> None:
        super().before_test(runner)
        self._check(runner, runner.test_loop)

    def is_due(self, runner, event: str) -> bool:
        """Before a test, and before a validation if asked to."""
        return super().is_due(runner, event) and (self.on_val or event == 'before_test_epoch')

    def times(self, runner) -> Sequence[int]:
        return super().times(runner) if self.on_val else []

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Let go of probes that training is about to outdate."""
        self.forget(unwrap(runner.model))

    def after_test_epoch(self, runner, metrics=None) -> None:
        self.forget(unwrap(runner.model))

    def forget(self, model: torch.nn.Module) -> None:
        model.probes, self._fitted_at = [], None

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        classes, ignore_index = self._dataset.metainfo['classes'], getattr(self._dataset, 'ignore_index', 255)
        for probe in self.probes:
            n_channels = model.probe_channels[probe.features or next(iter(model.probe_channels))]
            probe.begin(n_channels, len(classes), n_images, key[0], device, ignore_index)

    def add(self, batch: FeatureBatch) -> None:
        for probe in self.probes:
            batch.feed(probe)

    def finish(self) -> None:
        self._lines = [f'probe {probe.name}: {probe.finish()}' for probe in self.probes]

    def use(self, runner, model: torch.nn.Module) -> None:
        for line in self._lines:
            runner.logger.info(line)
        model.probes = self.probes

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
        loader = self.reading(runner).loader
        check_datasets(loader.dataset.dataset if self.needs_labels else None, dataset)
        self._dataset = dataset
        for line in check_metrics(loop.evaluator.metrics, self.probes, predictions_to_come(runner), dataset):
            warn_once(line)


def predictions_to_come(runner) -> List[str]:
    """What the model of a run predicts beside probes in an evaluation, for which clusters may still be fitted."""
    model = unwrap(runner.model)
    is_fitted = any(isinstance(hook, FreshKMeansHook) for hook in runner.hooks)
    return model.possible_predictions if is_fitted else model.predictions


def check_feature_tensors(model: torch.nn.Module, checkpoint: dict) -> None:
    """Raise ValueError unless every tensor that features are made of is in the checkpoint, in the same shape; of a
    model that does not say which these are, those of its prediction."""
    given = _shapes(checkpoint)
    parts = getattr(model, 'feature_parts', _PREDICTION)
    own = {*dict(model.named_parameters()), *dict(model.named_buffers())}  # of a frozen part its identity only
    needed = {key: value.shape for key, value in model.state_dict().items()
              if key in own and key.startswith(parts) and not key.endswith('num_batches_tracked')}
    missing = [key for key, shape in needed.items() if given.get(key) != shape]
    if missing:
        raise ValueError(f'the checkpoint has {len(needed) - len(missing)} of the {len(needed)} tensors that the '
                         f'features of {type(model).__name__} need (not, or in another shape: {missing[:3]}): use the '
                         'config it was trained with, or another checkpoint')


def check_any_tensor(model: torch.nn.Module, checkpoint: dict) -> None:
    """Raise ValueError unless a tensor of the checkpoint fits the model. A training may start from a part of a model,
    but not from a file that has nothing of it: mmengine would start from other weights without a word."""
    given = _shapes(checkpoint)
    if not any(given.get(key) == value.shape for key, value in model.state_dict().items() if value.dim()):
        raise ValueError(f'none of the {len(given)} entries of the checkpoint in load_from is a tensor of '
                         f'{type(model).__name__} in its shape: name a checkpoint of this config')


def _shapes(checkpoint) -> dict:
    """Name -> shape of its tensors, None for what is none. Raises ValueError unless it is a dict of weights."""
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f'the checkpoint is a {type(checkpoint).__name__} and holds no dict of weights: name one that '
                         'mmseg-unsup train wrote')
    state = renamed_state({key.removeprefix('module.'): value for key, value in state.items()})
    return {key: getattr(value, 'shape', None) for key, value in state.items()}


def check_teacher(model: torch.nn.Module, checkpoint: dict) -> None:
    """Raise ValueError unless the probes read what the run of the checkpoint predicts with by its stored config: the
    average of its weights, or the weights themselves."""
    text, teacher = checkpoint.get('meta', {}).get('cfg'), getattr(model, 'target_generator', None)
    if not isinstance(text, str) or not hasattr(teacher, 'epochs'):  # others always predict as they do
        return
    stored = (present_config(parse_config_text(text)).get('model') or {}).get('target_generator') or {}
    trained = stored.get('epochs')
    if (trained is not None) != teacher.predicts:
        raise ValueError(f'the run of the checkpoint had model.target_generator.epochs={trained}, this config has '
                         f'{teacher.epochs}, so the probes would read other weights than the run predicted with: set '
                         f'model.target_generator.epochs={trained}')
