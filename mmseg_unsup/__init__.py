"""Unsupervised semantic segmentation for MMSegmentation.

Importing the package checks that one coherent set of host packages is installed and makes ``mmseg_unsup::`` and
``mmseg::`` config references resolvable. Everything else is imported on demand through the registries.
"""
from .utils.stack import check_stack

check_stack()

from .utils.config import register_config_packages  # noqa: E402
from .version import __version__  # noqa: E402

register_config_packages()

__all__ = ['__version__']
