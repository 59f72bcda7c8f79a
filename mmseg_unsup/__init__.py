"""Unsupervised semantic segmentation for MMSegmentation.

Importing the package checks that one coherent set of host packages is installed, makes ``mmseg_unsup::`` and
``mmseg::`` config references resolvable and ``torchvision://`` weights loadable, torchvision or not, and lets what
mmengine reads from files name nothing that runs. Everything else is imported on demand through the registries.
"""
from .utils.stack import check_stack

check_stack()

from .utils.config import register_config_packages  # noqa: E402
from .utils.published_weights import register_weight_loaders  # noqa: E402
from .utils.safe_files import register_safe_handlers  # noqa: E402
from .utils.safe_loading import register_safe_inferencers, register_safe_loaders  # noqa: E402
from .utils.torchvision_guard import survive_misfit_torchvision  # noqa: E402
from .version import __version__  # noqa: E402

register_config_packages()
register_weight_loaders()
register_safe_handlers()
register_safe_loaders()  # over all that are there
register_safe_inferencers()
survive_misfit_torchvision()

__all__ = ['__version__']
