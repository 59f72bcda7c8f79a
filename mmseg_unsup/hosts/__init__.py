"""What this package changes in the packages that it plugs into, as soon as mmengine is there.

``mmseg_unsup::`` and ``mmseg::`` references of configs resolve; ``torchvision://`` weights load, torchvision or not;
what mmengine reads from files names nothing that runs; and importing the packages prints nothing.
"""
import mmengine  # noqa: F401 -- if this is its first import, what follows waits for its end

from .config_packages import register_config_packages
from .imports import quieten_imports, survive_misfit_torchvision
from .published_weights import register_weight_loaders
from .safe_files import register_safe_handlers
from .safe_loading import register_safe_inferencers, register_safe_loaders

register_config_packages()
register_weight_loaders()
register_safe_handlers()
register_safe_loaders()  # over all that are there
register_safe_inferencers()
survive_misfit_torchvision()
quieten_imports()
