"""What this package changes in the packages that it plugs into, as soon as each part of them is there.

``mmseg_unsup::`` and ``mmseg::`` references of configs resolve; ``torchvision://`` weights load, torchvision or not;
what mmengine reads from files names nothing that runs; and importing the packages prints nothing.
"""
import mmengine  # noqa: F401 -- if this is its first import, what follows waits for its end

from ..import_hooks import after_import
from .config_packages import register_config_packages
from .imports import quieten_imports, survive_misfit_torchvision
from .safe_files import register_safe_handlers


def _adapt_loaders() -> None:
    from mmengine.runner import CheckpointLoader

    from .published_weights import register_weight_loaders
    from .safe_loading import register_safe_loaders
    register_weight_loaders(CheckpointLoader)
    register_safe_loaders(CheckpointLoader)  # over all that are there


def _adapt_inferencers() -> None:
    from mmengine.infer import BaseInferencer

    from .safe_loading import register_safe_inferencers
    register_safe_inferencers(BaseInferencer)


register_config_packages()
register_safe_handlers()
survive_misfit_torchvision()
quieten_imports()
# which take seconds to import, and what makes masks or lists needs neither
after_import('mmengine.runner', _adapt_loaders)
after_import('mmengine.infer', _adapt_inferencers)
