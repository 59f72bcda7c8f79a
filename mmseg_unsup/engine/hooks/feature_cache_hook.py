"""Features of a frozen backbone that are computed once, for all passes and runs."""
from typing import Callable, List, Optional

from mmengine.hooks import Hook
from torch.utils.data import DataLoader

from ...datasets import ViewDataset
from ...registry import HOOKS
from ..feature_cache import CacheSettings, store_features
from ..feature_pass import unwrap
from .fit_hook import FitHook
from .phase_timer_hook import time_phase


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Stores what the frozen backbone makes of the training images, and reads that from then on in their place.

    Fits, probes and, where the views repeat, training steps read features at the speed of the memory, in this run and
    all later ones with the same weights, transforms and images; results are the same to the bit. Evaluation reads its
    images as ever. Features are float16 with or without the hook: the backbone must have ``float16=True``.

    Args:
        folder: of the features, which several runs may share; None: nothing is stored.
        flips: also store the features of the images flipped left to right, for a model that averages over both.
        fill: make what is missing; False, as for a folder that is only read: that is an error.

    Raises:
        ValueError: the backbone is not frozen, or gives other features than float16; see
            :func:`mmseg_unsup.engine.feature_cache.store_features`.
    """

    priority = 'HIGH'  # before what reads the images

    def __init__(self, folder: Optional[str] = None, flips: bool = False, fill: bool = True) -> None:
        self._settings = folder and CacheSettings(folder, flips, fill)

    def before_run(self, runner) -> None:
        """Fail now rather than when the features are made."""
        backbone = getattr(unwrap(runner.model), 'backbone', None)
        if self._settings and not getattr(backbone, 'float16', False):
            raise ValueError('a feature cache has the outputs of a frozen backbone in float16: let model.backbone be an '
                             'mmseg_unsup.FrozenBackbone with float16=True, or leave out feature_cache')

    def before_train(self, runner) -> None:
        training = runner.train_dataloader
        loaders = [training, *_loaders_of(runner, lambda hook: bool(hook.times(runner)))]
        repeats = isinstance(training.dataset, ViewDataset) and training.dataset.variants is not None
        self._store(runner, [loader for loader in loaders if loader is not training or repeats])

    def before_test(self, runner) -> None:
        self._store(runner, _loaders_of(runner, lambda hook: any(
            hook.is_due(runner, event) for event in ('before_train', 'before_test_epoch'))))

    def _store(self, runner, loaders: List[DataLoader]) -> None:
        if self._settings:
            with time_phase('feature cache'):
                for loader in dict.fromkeys(loaders):
                    store_features(unwrap(runner.model), loader, self._settings, runner.seed)


def _loaders_of(runner, is_wanted: Callable[[FitHook], bool]) -> List[DataLoader]:
    """Those that fits read."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, FitHook) and is_wanted(hook)]
    labelled = any(hook.needs_labels for hook in hooks)
    return [hook.reading(runner, labelled).loader for hook in hooks]
