from .config import load_config, register_config_packages
from .progress import track_progress
from .random import keyed_generator, keyed_global_rng
from .setup_env import register_all_modules
from .stack import check_stack

__all__ = [
    'check_stack', 'keyed_generator', 'keyed_global_rng', 'load_config', 'register_all_modules',
    'register_config_packages', 'track_progress'
]
