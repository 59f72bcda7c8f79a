"""What a MODEL stands for: the files of a trained model, here or on the Hugging Face hub."""
import logging
import os
import os.path as osp
import re
from typing import Optional, Tuple

from ..engine.checkpoint_files import last_checkpoint
from ..utils.config import CONFIG_SUFFIXES
from ..utils.console import say
from ..utils.paths import path_remedy, printable

# a folder that is a model of its own; on the hub it is the former, which cannot hold code
PUSHED_FILE, MODEL_FILE = 'model.safetensors', 'model.pth'
NAMES_FILE = 'clusters.json'
HUB = 'hf://'
# what `mmseg-unsup segment --examples` makes of the model beside it
EXAMPLES_FILE = 'examples.pth'
_SUFFIXES = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors')
_KINDS = ('a model is a checkpoint file, the work directory of a training, or the folder that `mmseg-unsup segment` '
          'wrote')
HUB_NAME = re.compile(r'[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@(?!.*\.\.)[\w./-]+)?')


def find_model(model: str) -> str:
    """Path of the checkpoint that a MODEL stands for.

    Args:
        model: a file, or an address, which is returned as it is; or a folder: the work directory of a run, what
            ``mmseg-unsup segment`` wrote, whose ``train`` is one, or one with ``model.safetensors`` or ``model.pth``.

    Raises:
        FileNotFoundError: there is no such path, or no checkpoint in the folder.
        ValueError: it is a config.
    """
    model = osp.expanduser(os.fspath(model))
    if '://' in model or osp.isfile(model) and not is_config(model):
        return model
    if osp.isdir(model):
        return _checkpoint_of(model)
    if is_config(model):
        raise ValueError(f'{printable(model)} is a config, and the model is missing: give the checkpoint, or the '
                         'folder of a training, after it')
    otherwise = f'give {HUB}{model} for one of the Hugging Face hub, or check' if is_hub_name(model) else 'check'
    remedy = path_remedy(model, lambda path: osp.isdir(path) or path.endswith(_SUFFIXES),
                         f'{otherwise} the path; {_KINDS}')
    raise FileNotFoundError(f'there is no checkpoint or folder {model!r}: {remedy}')


def find_names(model: str, clusters: Optional[str]) -> Optional[str]:
    """Path of the ``clusters.json`` to use with a model; None for every cluster on its own.

    Args:
        model: see :func:`find_model`; what it names itself is the file of this name in a folder.
        clusters: another file, which goes first, or ``'none'``.
    """
    if clusters is not None:
        return None if clusters == 'none' else clusters
    beside = osp.join(osp.expanduser(os.fspath(model)), NAMES_FILE)
    return beside if osp.isfile(beside) else None


def choose_files(model: str, clusters: Optional[str]) -> Tuple[str, Optional[str]]:
    """:func:`find_model` and :func:`find_names`, also of ``hf://owner/name``, see :func:`download_model`; says at the
    console which files of a folder are used."""
    if model.startswith(HUB):
        model = download_model(model)
    checkpoint, names = find_model(model), find_names(model, clusters)
    said = [f'model: {printable(checkpoint)}'] if osp.isdir(osp.expanduser(model)) else []
    if clusters is None and names is not None:
        said.append(f'names: {printable(names)}')
    if said:
        say(', '.join(said))
    return checkpoint, names


def check_config_path(config: str) -> None:
    """Raise ValueError if what stands before a model is no config but another path."""
    if osp.isdir(config) or osp.isfile(config) and not is_config(config):
        raise ValueError(f'{printable(config)} stands where a config may stand, before the model, and is none: give '
                         'one model, and one folder or file after it')


def is_hub_name(model: str) -> bool:
    """Whether this is ``owner/name`` or ``owner/name@revision``, and no path, be it misspelt: no path of this name is
    there, nor its folder unless a revision is given. ``hf://owner/name`` always is."""
    if not isinstance(model, str) or osp.exists(model):
        return False
    if model.startswith(HUB):
        return True
    if not HUB_NAME.fullmatch(model):
        return False
    return '@' in model or not (model.endswith(_SUFFIXES + CONFIG_SUFFIXES) or osp.isdir(osp.dirname(model)))


def download_model(name: str) -> str:
    """Fetch a model of the Hugging Face hub, once; the folder that has it.

    A model is a repository that ``mmseg-unsup push`` wrote: ``model.safetensors``, and if its clusters have names
    ``clusters.json``. No other file is fetched: neither pickles nor code.

    Args:
        name: ``owner/name``, or ``owner/name@revision`` for a branch, tag or commit; ``hf://`` may stand before it.

    Raises:
        FileNotFoundError: the repository has no such file.
        ImportError: huggingface_hub, the extra ``hub``, is missing.
        OSError: the hub does not have it, or cannot be reached.
    """
    missing = name if name.startswith(HUB) else f'there is no path {name!r}, and as a model of the Hugging Face hub it'
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError:
        raise ImportError(f'{missing} needs huggingface_hub. Run: pip install "mmseg-unsup[hub]"') from None
    repository, _, revision = name.removeprefix(HUB).partition('@')
    if not HUB_NAME.fullmatch(name.removeprefix(HUB)):
        raise ValueError(f'{name!r} is no model of the Hugging Face hub: expected owner/name or owner/name@revision')
    try:
        folder = osp.dirname(hf_hub_download(repository, PUSHED_FILE, revision=revision or None))
        _download_names(name, repository, commit=osp.basename(folder))
    except Exception as error:  # of many types, by release and by what failed
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            raise FileNotFoundError(f'the repository {repository!r} of the Hugging Face hub has no {PUSHED_FILE}: it '
                                    'is no model that mmseg-unsup push wrote') from None
        raise OSError(f'{missing} cannot be had ({reason_of(error)}): check name, revision, network and, of a private '
                      'one, your token') from None
    return folder


def _download_names(name: str, repository: str, commit: str) -> None:
    """Fetch the names of the clusters, which a commit has or has not."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
    if try_to_load_from_cache(repository, NAMES_FILE, revision=commit) is not None:  # its path, or that there is none
        return
    try:
        hf_hub_download(repository, NAMES_FILE, revision=commit)
    except LocalEntryNotFoundError as error:
        say(f'{name}: if its clusters have names, they could not be fetched ({reason_of(error)}): none are used',
            logging.WARNING)
    except EntryNotFoundError:
        pass


def reason_of(error: Exception) -> str:
    """Type and first line of an error of huggingface_hub; of one that says that nothing is kept here either, those of
    what went wrong on the network."""
    if type(error).__name__ == 'LocalEntryNotFoundError' and error.__cause__ is not None:
        error = error.__cause__
    return ': '.join([type(error).__name__, *str(error).strip().splitlines()[:1]]).rstrip('.')


def _checkpoint_of(folder: str) -> str:
    if osp.isfile(osp.join(folder, EXAMPLES_FILE)):
        return osp.join(folder, EXAMPLES_FILE)
    training = osp.join(folder, 'train')  # below what `mmseg-unsup segment` writes
    for path in filter(osp.isdir, (folder, training)):
        found = last_checkpoint(path)
        if found is not None:
            return found
    for name in (PUSHED_FILE, MODEL_FILE):
        if osp.isfile(osp.join(folder, name)):
            return osp.join(folder, name)
    if osp.isdir(training):
        raise FileNotFoundError(f'the training in {printable(training)} has written no checkpoint yet: let it go on, '
                                'by the command that began it')
    raise FileNotFoundError(f'the folder {printable(folder)} has no checkpoint: {_KINDS}')


def is_config(path: str) -> bool:
    """Whether this is the name of a config."""
    return path.endswith(CONFIG_SUFFIXES) or '::' in path
