"""Unsupervised semantic segmentation for MMSegmentation.

Importing the package checks that one coherent set of host packages is installed; as soon as mmengine is imported, by
whomever, ``mmseg_unsup.hosts`` adapts it. Everything else is imported on demand, by the registries or by its name.
"""
from importlib import import_module
from typing import TYPE_CHECKING

import lazy_loader

from .import_hooks import after_import
from .utils.stack import check_stack
from .version import __version__ as __version__

check_stack()
for _name in ('mmengine', 'mmseg'):  # parts of the latter are looked for before they import the former
    after_import(_name, lambda: import_module('mmseg_unsup.hosts') and None)

if TYPE_CHECKING:  # the same names for who reads the code without running it, who wants `as` for what is offered
    from .apis.inferencer import UnsupInferencer as UnsupInferencer, from_pretrained as from_pretrained
    from .apis.learn_folder import learn_folder as learn_folder
    from .apis.segment_folder import segment_folder as segment_folder
else:
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__, submod_attrs=dict(apis=['UnsupInferencer', 'from_pretrained', 'learn_folder', 'segment_folder']))
    __all__ += ['__version__']
