"""A linear probe that is trained along with a method, on codes that get no gradient."""
from itertools import chain
from typing import Any, Iterator, Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from ...evaluation.probes import PixelProbe
from ...evaluation.probes.protocol import check_datasets, check_metrics
from ...registry import HOOKS
from ...utils.console import warn_once
from ...utils.preemption import protect_workers
from ..feature_pass import FiniteCheck, set_view_key, unwrap
from ..fitting import FeatureBatch
from ..loops import remaining_batches
from ..probe_loader import labelled_probe_dataloader
from .probe_hook import predictions_to_come


@HOOKS.register_module()
class LinearProbeHook(Hook):
    """Lets a :class:`mmseg_unsup.evaluation.probes.PixelProbe` take a step after every step of the training; the model
    then predicts ``pred_sem_seg_<name>`` in evaluations.

    The labelled images come by ``labelled_probe_dataloader``, from a stream of their own, and go through the network in
    evaluation mode without gradient: labels never reach ``loss``, and training, checkpoints and random numbers are the
    same with and without the hook. (In the released code of STEGO the step sees the codes of the images that are
    trained on, with their dropout.) What was learned is in the checkpoint beside the model, for a resumed run and for
    evaluations.

    Args:
        name: of the prediction.
        features: which of the model's feature maps to read, ``'codes'`` as the neck gives them.
        lr: see :class:`mmseg_unsup.evaluation.probes.PixelProbe`.

    Raises:
        KeyError: the config has no ``labelled_probe_dataloader``.
        ValueError: the model has no such features; data sets or metrics do not fit, see
            :mod:`mmseg_unsup.evaluation.probes.protocol`; a checkpoint that is evaluated has no such probe.
    """

    priority = 'LOW'  # after what moves the weights, before checkpoints

    def __init__(self, name: str = 'linear', features: str = 'codes', lr: float = 5e-3) -> None:
        self.probe = PixelProbe(name, features, lr)
        self._state: Optional[dict] = None  # of the checkpoint
        self._batches: Iterator[Any] = iter(())

    @property
    def _key(self) -> str:
        return f'probe_{self.probe.name}'

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """A run that only starts from the weights has a new probe."""
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            self._state = checkpoint.get(self._key)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if isinstance(runner._train_loop, BaseLoop):
            checkpoint[self._key] = self.probe.state_dict()

    def before_train(self, runner) -> None:
        """Fail now rather than at the first validation."""
        loader = labelled_probe_dataloader(runner)
        self._begin(runner, loader.dataset, len(loader.dataset))
        if runner.val_loop is not None:
            self._check(runner, runner.val_loop)
        self._reader, self._check_finite = loader, FiniteCheck(f'probe {self.probe.name}')
        self._batches = chain.from_iterable(self._epochs(runner))

    def loaders_of_steps(self, runner) -> list:
        """Those that training steps read beside the training images; see :class:`mmseg_unsup.FeatureCacheHook`."""
        return [labelled_probe_dataloader(runner)]

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        model = unwrap(runner.model)
        model.eval()
        data = model.data_preprocessor(next(self._batches), True)
        FeatureBatch(model, data['inputs'], data['data_samples'], 0, self._check_finite).feed(self.probe)
        model.train()

    def after_train(self, runner) -> None:
        self._check_finite.settle()
        self._batches = iter(())  # ends the workers

    def before_val_epoch(self, runner) -> None:
        self._predict(runner, runner.val_loop)

    def before_test_epoch(self, runner) -> None:
        self._predict(runner, runner.test_loop)

    def after_val_epoch(self, runner, metrics=None) -> None:
        model = unwrap(runner.model)
        model.probes = [probe for probe in model.probes if probe is not self.probe]

    after_test_epoch = after_val_epoch

    def _predict(self, runner, loop) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            self._from_checkpoint(runner, loop)
        runner.logger.info(f'probe {self.probe.name}: {self.probe.finish()}')
        model = unwrap(runner.model)
        model.probes = [*model.probes, self.probe]

    def _from_checkpoint(self, runner, loop) -> None:
        if self._state is None:
            raise ValueError(f'the checkpoint has no probe {self.probe.name!r} that was trained along: leave out the '
                             'LinearProbeHook and its metric, or fit one by mmseg_unsup.ProbeHook')
        self._begin(runner, loop.dataloader.dataset, len(loop.dataloader.dataset))
        self._check(runner, loop)

    def _begin(self, runner, dataset, n_images: int) -> None:
        model, probe = unwrap(runner.model), self.probe
        channels = getattr(model, 'probe_channels', {})
        if probe.features not in channels:
            raise ValueError(f'the probe {probe.name!r} reads the features {probe.features!r}, but '
                             f'{type(model).__name__} has {list(channels)}')
        ignored = getattr(getattr(dataset, 'dataset', dataset), 'ignore_index', 255)
        probe.begin(channels[probe.features], len(dataset.metainfo['classes']), n_images, runner.seed,
                    model.data_preprocessor.device, ignored)
        if self._state is not None:
            probe.load_state_dict(self._state)

    def _check(self, runner, loop) -> None:
        dataset, trains = loop.dataloader.dataset, isinstance(runner._train_loop, BaseLoop)
        check_datasets(labelled_probe_dataloader(runner).dataset.dataset if trains else None, dataset)
        for line in check_metrics(loop.evaluator.metrics, [self.probe], predictions_to_come(runner), dataset):
            warn_once(line)

    def _epochs(self, runner) -> Iterator[DataLoader]:
        """Loaders of the images of an epoch, the first of those that are left of it."""
        while True:
            epoch, position = divmod(self.probe.n_steps, len(self._reader))
            set_view_key(self._reader, runner.seed, epoch)
            loader = remaining_batches(self._reader, position, generator=torch.Generator())
            protect_workers(loader)
            yield loader
