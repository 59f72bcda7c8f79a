"""Registries of the package, each a child of mmseg's where that has one.

Write our types with their scope, ``mmseg_unsup.PiCIE``: that form resolves under every default scope that mmseg's
registries serve, without ``custom_imports``.

A registry imports its own ``locations`` before a look-up but not those of its parents, hence mmseg's modules are
listed beside ours: with ``default_scope='mmseg_unsup'`` (which ``mmengine.hub`` sets) mmseg's types must resolve too.
"""
from contextlib import contextmanager
from typing import Iterator, Optional

from mmengine import registry as of_mmengine
from mmengine.registry import Registry
from mmseg import registry as of_mmseg


class OwnRegistry(Registry):
    """A registry of what only this package has: without a parent, and the same under every default scope."""

    @contextmanager
    def switch_scope_and_registry(self, scope: Optional[str]) -> Iterator[Registry]:
        yield self


DATASETS = Registry('dataset', parent=of_mmseg.DATASETS, locations=['mmseg.datasets', 'mmseg_unsup.datasets'])
TRANSFORMS = Registry(
    'transform',
    parent=of_mmseg.TRANSFORMS,
    locations=['mmseg.datasets.transforms', 'mmseg_unsup.datasets.transforms'])
MODELS = Registry('model', parent=of_mmseg.MODELS, locations=['mmseg.models', 'mmseg_unsup.models'])
HOOKS = Registry('hook', parent=of_mmseg.HOOKS, locations=['mmseg.engine.hooks', 'mmseg_unsup.engine'])
LOOPS = Registry('loop', parent=of_mmseg.LOOPS, locations=['mmseg.engine', 'mmseg_unsup.engine'])
METRICS = Registry('metric', parent=of_mmseg.METRICS, locations=['mmseg.evaluation', 'mmseg_unsup.evaluation'])
PROBES = OwnRegistry('probe', scope='mmseg_unsup', locations=['mmseg_unsup.evaluation'])
PRIORS = OwnRegistry('prior', scope='mmseg_unsup', locations=['mmseg_unsup.priors'])
PARAM_SCHEDULERS = Registry(
    'param_scheduler', parent=of_mmseg.PARAM_SCHEDULERS, locations=['mmseg.engine.schedulers', 'mmseg_unsup.engine'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=of_mmseg.OPTIM_WRAPPERS, locations=['mmseg.engine.optimizers', 'mmseg_unsup.engine'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer', parent=of_mmseg.WEIGHT_INITIALIZERS, locations=['mmseg.models', 'mmseg_unsup.weights'])
# of what a config inherits by `mmseg_unsup::`, mmengine looks up mmseg's types here
VISUALIZERS = Registry('visualizer', parent=of_mmseg.VISUALIZERS, locations=['mmseg.visualization'])
FUNCTIONS = Registry('function', parent=of_mmengine.FUNCTIONS, locations=['mmseg_unsup.datasets.transforms'])
