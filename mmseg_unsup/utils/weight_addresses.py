"""What stands for weights in a config: names of tables and addresses, and where torch keeps their files."""
import os.path as osp
from urllib.parse import unquote, urlsplit

import torch

TORCHVISION = ('torchvision', 'modelzoo')
TABLES = (*TORCHVISION, 'open-mmlab', 'openmmlab', 'mmcls')
REMEDY = 'name another file (--cfg-options init=FILE)'
# whose files may be fetched for a model of a stranger
_PUBLISHERS = ('https://download.pytorch.org/models/', 'https://dl.fbaipublicfiles.com/',
               'https://download.openmmlab.com/')


def place_in_cache(address: str, is_published: bool) -> str:
    """Path in torch's cache: the name alone of what a table lists; otherwise two addresses may share it."""
    parts = urlsplit(address)
    path = osp.normpath(f'/{unquote(parts.path)}').lstrip('/')
    if not path:
        raise ValueError(f'{address} names no file: {REMEDY}')
    host = parts.netloc.rpartition('@')[2]
    return osp.join(torch.hub.get_dir(), 'checkpoints', osp.basename(path) if is_published else osp.join(host, path))


def harmless_source(source: str) -> str:
    """What stands for weights that a stranger's model names: nothing is fetched but what is known to be published.

    Names of tables, addresses of their publishers and local files, which are read as data, stay as they are; of another
    address it is its place in torch's cache, where the user may have put it.

    Raises:
        ValueError: it is of another kind.
    """
    scheme, separator, _ = source.partition('://')
    if source.startswith(_PUBLISHERS) or separator and scheme in TABLES:
        return source
    if separator and scheme in ('http', 'https'):
        return place_in_cache(source, is_published=False)
    if ':' in source[2:] or source[:2] in ('//', '\\\\'):  # a drive has one, two slashes another machine
        raise ValueError(f'{source!r} is neither a file nor published weights')
    return source
