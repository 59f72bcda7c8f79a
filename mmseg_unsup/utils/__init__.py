import lazy_loader

# a command that only prints its help has no time for the imports of these
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=dict(
    config=['load_config'], progress=['track_progress'], random=['keyed_generator', 'keyed_global_rng'],
    setup_env=['register_all_modules'], stack=['check_stack']))
