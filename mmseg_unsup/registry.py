"""Registries of the package, each a child of mmseg's where that has one.

Write our types with their scope, ``mmseg_unsup.PiCIE``: that form resolves under every default scope that mmseg's
registries serve, without ``custom_imports``.

A registry imports its own ``locations`` before a look-up but not those of its parents, hence mmseg's modules are
listed beside ours: with ``default_scope='mmseg_unsup'`` (which ``mmengine.hub`` sets) mmseg's types must resolve too.
"""
from contextlib import contextmanager
from typing import Iterator, Optional

from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import Registry
from mmseg.registry import DATASETS as MMSEG_DATASETS
from mmseg.registry import HOOKS as MMSEG_HOOKS
from mmseg.registry import LOOPS as MMSEG_LOOPS
from mmseg.registry import METRICS as MMSEG_METRICS
from mmseg.registry import MODELS as MMSEG_MODELS
from mmseg.registry import OPTIM_WRAPPERS as MMSEG_OPTIM_WRAPPERS
from mmseg.registry import PARAM_SCHEDULERS as MMSEG_PARAM_SCHEDULERS
from mmseg.registry import TRANSFORMS as MMSEG_TRANSFORMS
from mmseg.registry import VISUALIZERS as MMSEG_VISUALIZERS
from mmseg.registry import WEIGHT_INITIALIZERS as MMSEG_WEIGHT_INITIALIZERS



class OwnRegistry(Registry):
    """A registry of what only this package has: without a parent, and the same under every default scope."""

    @contextmanager
    def switch_scope_and_registry(self, scope: Optional[str]) -> Iterator[Registry]:
        yield self


DATASETS = Registry('dataset', parent=MMSEG_DATASETS, locations=['mmseg.datasets', 'mmseg_unsup.datasets'])
TRANSFORMS = Registry(
    'transform',
    parent=MMSEG_TRANSFORMS,
    locations=['mmseg.datasets.transforms', 'mmseg_unsup.datasets.transforms'])
MODELS = Registry('model', parent=MMSEG_MODELS, locations=['mmseg.models', 'mmseg_unsup.models'])
HOOKS = Registry('hook', parent=MMSEG_HOOKS, locations=['mmseg.engine.hooks', 'mmseg_unsup.engine'])
LOOPS = Registry('loop', parent=MMSEG_LOOPS, locations=['mmseg.engine', 'mmseg_unsup.engine'])
METRICS = Registry('metric', parent=MMSEG_METRICS, locations=['mmseg.evaluation', 'mmseg_unsup.evaluation'])
PROBES = OwnRegistry('probe', scope='mmseg_unsup', locations=['mmseg_unsup.evaluation'])
PRIORS = OwnRegistry('prior', scope='mmseg_unsup', locations=['mmseg_unsup.priors'])
PARAM_SCHEDULERS = Registry(
    'param_scheduler', parent=MMSEG_PARAM_SCHEDULERS, locations=['mmseg.engine.schedulers', 'mmseg_unsup.engine'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=MMSEG_OPTIM_WRAPPERS, locations=['mmseg.engine.optimizers', 'mmseg_unsup.engine'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer', parent=MMSEG_WEIGHT_INITIALIZERS, locations=['mmseg.models', 'mmseg_unsup.weights'])
# of what a config inherits by `mmseg_unsup::`, mmengine looks up mmseg's types here
VISUALIZERS = Registry('visualizer', parent=MMSEG_VISUALIZERS, locations=['mmseg.visualization'])
FUNCTIONS = Registry('function', parent=MMENGINE_FUNCTIONS, locations=['mmseg_unsup.datasets.transforms'])
