"""Registration of all modules in one call, as ``mmengine.hub`` and downstream scripts expect it."""
import importlib

from mmengine.registry import init_default_scope


def register_all_modules(init_scope: bool = True) -> None:
    """Import every module of the package that registers types.

    Args:
        init_scope: also make ``mmseg`` the default scope. Our types carry their scope in configs (``mmseg_unsup.X``),
            so mmseg's own names keep working unprefixed.
    """
    for package in ('datasets', 'engine', 'evaluation', 'models', 'visualization'):
        importlib.import_module(f'mmseg_unsup.{package}')
    if init_scope:
        init_default_scope('mmseg')
