"""References to the configs of packages."""
from importlib.util import find_spec

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import is_installed


def register_config_packages() -> None:
    """Make ``mmseg_unsup::path`` and ``mmseg::path`` resolve, whichever distribution provides mmseg.

    mmengine maps a module to a distribution by a closed table; the maintained fork publishes mmseg under another name.
    """
    MODULE2PACKAGE.setdefault('mmseg_unsup', 'mmseg_unsup')
    if not is_installed(MODULE2PACKAGE['mmseg']) and find_spec('mmseg') is not None:
        MODULE2PACKAGE['mmseg'] = 'mmseg'
