"""Data sets by name: the work of ``mmseg-unsup download``."""
import os
import os.path as osp
import shlex
import shutil
from contextlib import contextmanager, suppress
from typing import Dict, Iterator, List, Optional, Sequence

from filelock import Timeout
from mmengine.fileio import load
from prettytable import PrettyTable

from ..converters.coco_stuff27 import PUBLISHED, write_curated_lists
from ..converters.files import check_place
from ..presets import n_cores
from ..utils.atomic import made_folder, write_json
from ..utils.checks import check_choice
from ..utils.console import say
from ..utils.fetching import part_size
from ..utils.locks import alone_with
from ..utils.paths import printable
from .checked import address_of, check_file, fetch_checked, judged
from .disk import check_space, megabytes_text
from .installing import check_part, install, install_tiles
from .table import DATA_SETS, DataSet, Part, Source

WORK = '.download'  # below the data root, while something is not whole
RECORD = 'downloaded.json'


def list_data_sets() -> str:
    """A table of what there is."""
    table = PrettyTable(['name', 'what', 'size', 'folder', 'licence'], align='l')
    for name, data_set in DATA_SETS.items():
        size = megabytes_text(sum(source.megabytes for source in data_set.sources)) if data_set.page is None else \
            'with an account'
        table.add_row([name, data_set.title, size, data_set.root, data_set.licence])
    return f'{table}\nweights are listed by mmseg-unsup download weights'


def download_data_set(name: str, root: Optional[str] = None, archives: Sequence[str] = (),
                      mirror: Optional[str] = None) -> str:
    """Bring a data set into the layout that its configs expect; a line on what is there now.

    What was there is left as it is; a download that was cut off goes on. Archives that this downloads are removed once
    they are unpacked, others are left.

    Args:
        name: one of :data:`DATA_SETS`.
        root: the folder; None for the ``data_root`` of the configs.
        archives: files that were fetched by hand, under their own names.
        mirror: address of a folder that has the files under their own names.

    Raises:
        OSError: a file cannot be had, the disk has no room, or another process downloads the same.
        ValueError: an account is needed; a file is not the published one, or damaged; an archive is not of this set.
    """
    check_choice('data set', name, DATA_SETS, ', or weights')
    data_set, root = DATA_SETS[name], osp.expanduser(root or DATA_SETS[name].root)
    lacking = _lacking(data_set, root)
    given = _given_files(name, data_set, archives)
    _check_account(name, data_set, lacking, given, mirror)
    if lacking:
        check_place(root)
        _recorded(root)
        _announce(data_set, lacking, given, root, mirror)
        with _working(root) as work:
            _bring(data_set, lacking, given, mirror, root, work)
    if name == 'cocostuff' and not all(osp.isfile(osp.join(root, 'curated', f'{split}.txt')) for split in PUBLISHED):
        write_curated_lists(root, n_cores())
    counts = ', '.join(f'{part.n_files} {folder}' for folder, part in data_set.parts.items())
    option = shlex.quote(f'data_root={printable(root)}')
    hint = '' if root == data_set.root else f'; configs find it by --cfg-options {option}'
    return f'{data_set.title}: {counts} in {printable(root)}{hint}' + (' (it was there)' if not lacking else '')


def _lacking(data_set: DataSet, root: str) -> List[Source]:
    """Sources of which a folder is not there yet; ValueError where one is there and not whole."""
    for folder, part in data_set.parts.items():
        path = osp.join(root, folder)
        if osp.exists(path):
            _check_whole(path, part)
    if any(not source.places for source in data_set.sources):  # all of them make all parts
        whole = all(osp.exists(osp.join(root, folder)) for folder in data_set.parts)
        return [] if whole else [*data_set.sources]
    return [source for source in data_set.sources
            if not all(osp.exists(osp.join(root, target)) for target in source.targets)]


def _check_whole(path: str, part: Part) -> None:
    try:
        check_part(path, part._replace(suffix='', tree=None), path)  # images may be converted
    except ValueError as error:
        raise ValueError(f'{error}: move it away, and the same command brings it anew') from None


def _given_files(name: str, data_set: DataSet, archives: Sequence[str]) -> Dict[str, str]:
    """Name of a source -> the file that the user has."""
    known = [source.name for source in data_set.sources]
    given = {}
    for path in map(osp.expanduser, archives):
        if not osp.isfile(path):
            raise FileNotFoundError(f'there is no archive {path!r}: check the path')
        if osp.basename(path) not in known:
            raise ValueError(f'{printable(path)} is none of the files of {name}, which are called '
                             f'{" and ".join(known)}: give it its own name again')
        given[osp.basename(path)] = path
    return given


def _check_account(name: str, data_set: DataSet, lacking: List[Source], given: Dict[str, str],
                   mirror: Optional[str]) -> None:
    closed = [source.name for source in lacking if source.address is None and source.name not in given]
    if closed and mirror is None:
        raise ValueError(f'{name} is given out only to who has an account ({data_set.page}): fetch '
                         f'{" and ".join(closed)} there, then run mmseg-unsup download {name} --archive '
                         f'{" ".join(closed)}')


def _announce(data_set: DataSet, lacking: List[Source], given: Dict[str, str], root: str,
              mirror: Optional[str]) -> None:
    """Say what is about to come, and refuse it where the disk has no room for it."""
    say(f'{data_set.title}; licence: {data_set.licence}')
    coming = [source for source in lacking if source.name not in given]
    here = [part_size(osp.join(root, WORK, source.name)) / 1e6 for source in coming]
    for source, kept in zip(coming, here):
        say(f'  {megabytes_text(source.megabytes):>8}  {address_of(source.address, source.name, mirror)}'
            + (f' ({megabytes_text(kept)} are here)' if kept else ''))
    total = sum(source.megabytes for source in coming)
    if coming:
        say(f'  {megabytes_text(total):>8}  in all, and about as much unpacked, to {printable(root)}')
        check_space(root, 2 * total - sum(here), 'archives and what is unpacked of them')


@contextmanager
def _working(root: str) -> Iterator[str]:
    """The folder for what is not whole, for one process at a time; it goes when nothing of worth is left in it."""
    work = osp.join(root, WORK)
    try:
        with alone_with(f'{work}.lock', timeout=0), made_folder(work):  # beside it: it stays until the folder is gone
            yield work
            shutil.rmtree(work)
    except Timeout:
        raise OSError(f'another process downloads to {printable(root)}: wait until it is done') from None


def _bring(data_set: DataSet, lacking: List[Source], given: Dict[str, str], mirror: Optional[str], root: str,
           work: str) -> None:
    facts, archives = [], []
    for source in lacking:
        own = given.get(source.name)
        path = own or osp.join(work, source.name)
        facts.append(_fetched(source, path, mirror) if own is None else _looked_at(source, path))
        archives.append(path)
        with judged(path, path, is_ours=own is None):
            install(data_set, source, path, root, work)
        if source.places:
            _note(root, data_set, facts)
            if own is None:
                os.remove(path)
    if any(not source.places for source in lacking):
        install_tiles(data_set, archives, root, work)
        _note(root, data_set, facts)


def _fetched(source: Source, path: str, mirror: Optional[str]) -> dict:
    address = address_of(source.address, source.name, mirror)
    if osp.isfile(path):  # of a run that was ended while it unpacked
        return _looked_at(source, path, address)
    return fetch_checked(address, path, source.megabytes, source.digest, '--mirror URL, or --archive FILE')


def _looked_at(source: Source, path: str, address: Optional[str] = None) -> dict:
    """What :func:`check_file` says of a file that is here: the user's, or one that was fetched from an address."""
    with judged(path, path, is_ours=address is not None):
        return check_file(path, source.digest, address or path, source.name)


def _note(root: str, data_set: DataSet, facts: List[dict]) -> None:
    """Add files to the record of what came."""
    came = {each['file'] for each in facts}
    others = [file for file in _recorded(root) if file.get('file') not in came]
    write_json(osp.join(root, RECORD),
               dict(data_set=data_set.title, licence=data_set.licence, files=[*others, *facts]))


def _recorded(root: str) -> List[dict]:
    """The files in the record of what came; ValueError if it is none."""
    path = osp.join(root, RECORD)
    if not osp.isfile(path):
        return []
    with suppress(ValueError):  # of JSON and of text
        content = load(path)
        files = content.get('files') if isinstance(content, dict) else None
        if isinstance(files, list) and all(isinstance(file, dict) for file in files):
            return files
    raise ValueError(f'{printable(path)} is no record of downloads: move it away')
