"""YAML files and pickles as data, for everything that reads them through mmengine."""
import pickle

import yaml
from mmengine.fileio import register_handler
from mmengine.fileio.handlers import PickleHandler, YamlHandler

_TUPLE = 'tag:yaml.org,2002:python/tuple'  # as mmengine writes tuples


def register_safe_handlers() -> None:
    """Let ``mmengine.load``, and with it configs in YAML and annotation files, build plain values only."""
    register_handler(['yaml', 'yml'])(_PlainYamlHandler)
    register_handler(['pickle', 'pkl'])(_PlainPickleHandler)


class _PlainLoader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
    """Knows no tags of Python but that of tuples."""


_PlainLoader.add_constructor(_TUPLE, lambda loader, node: tuple(loader.construct_sequence(node, deep=True)))


class _PlainYamlHandler(YamlHandler):

    def load_from_fileobj(self, file, **kwargs):
        try:
            return super().load_from_fileobj(file, **dict(kwargs, Loader=_PlainLoader))
        except yaml.constructor.ConstructorError as error:
            raise ValueError(f'a YAML file asks for more than plain values, {error.problem} (line '
                             f'{error.problem_mark.line + 1}): nothing was read. Write the value itself') from None


class _PlainUnpickler(pickle.Unpickler):

    def find_class(self, module: str, name: str):
        from .safe_loading import plain_globals, refusal_of  # it imports torch
        full = f'{module}.{name}'.replace('__builtin__.', 'builtins.')  # of Python 2, which old protocols write
        found = plain_globals().get(full)
        if found is None:
            raise refusal_of('a pickle', full)
        return found


class _PlainPickleHandler(PickleHandler):

    def load_from_fileobj(self, file, **kwargs):
        return _PlainUnpickler(file, **kwargs).load()
