"""Features of a frozen backbone that are computed once, for all passes and runs."""
from collections import defaultdict
from typing import Callable, Iterable, List, Optional

from mmengine.hooks import Hook
from torch.utils.data import DataLoader

from ...registry import HOOKS
from ...utils.console import say
from ..feature_cache import CacheSettings, repeats, store_features
from ..feature_pass import unwrap
from .fit_hook import FitHook
from .phase_timer_hook import time_phase


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Stores what the frozen backbone makes of the training images, and reads that from then on in their place.

    Fits, probes and, where the views repeat, training steps read features at the speed of the memory, in this run and
    all later ones with the same weights, transforms and images; results are the same to the bit. Views repeat where
    nothing is drawn for them, or after ``dataset.variants`` epochs. Evaluation reads its images as ever. Features are
    float16 with or without the hook: the backbone must have ``float16=True``.

    A data set of which the fits read less than half, since so many cells are enough for them, is not stored: it takes
    less to compute what they read.

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
        """Store what the run reads; hooks whose steps read further images name their loaders by a method
        ``loaders_of_steps(runner)``."""
        if self._settings:
            training = [runner.train_dataloader] * repeats(runner.train_dataloader.dataset)
            steps = [loader for hook in runner.hooks if hasattr(hook, 'loaders_of_steps')
                     for loader in hook.loaders_of_steps(runner)]
            fits = self._loaders_of_fits(runner, lambda hook: bool(hook.times(runner)))
            self._store(runner, dict.fromkeys([*training, *steps, *fits]))

    def before_test(self, runner) -> None:
        self._store(runner, self._loaders_of_fits(runner, lambda hook: any(
            hook.is_due(runner, event) for event in ('before_train', 'before_test_epoch'))))

    def _loaders_of_fits(self, runner, is_wanted: Callable[[FitHook], bool]) -> List[DataLoader]:
        """Those that fits read enough of."""
        if not self._settings:
            return []
        model, numbers = unwrap(runner.model), defaultdict(int)
        hooks = [hook for hook in runner.hooks if isinstance(hook, FitHook) and is_wanted(hook)]
        labelled = any(hook.needs_labels for hook in hooks)
        for hook in hooks:
            if not hook.needs_pixels(model):
                loader = hook.reading(runner, labelled).loader
                numbers[loader] = max(numbers[loader], hook.count_images(model, loader))
        return [loader for loader, n_read in numbers.items() if self._pays(n_read, len(loader.dataset))]

    def _pays(self, n_read: int, n_images: int) -> bool:
        if not self._settings.fill or 2 * n_read >= n_images:
            return True
        say(f'feature cache: fits read {n_read:,} of {n_images:,} images, so nothing is stored of these')
        return False

    def _store(self, runner, loaders: Iterable[DataLoader]) -> None:
        if self._settings:
            with time_phase('feature cache'):
                for loader in loaders:
                    store_features(unwrap(runner.model), loader, self._settings, runner.seed)
