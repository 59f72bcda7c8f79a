"""A model folder on the Hugging Face hub."""
import os.path as osp
from contextlib import contextmanager
from typing import Iterator

from ..apis.model_files import HUB_NAME, NAMES_FILE, reason_of
from .model_folder import FILES


def check_hub(repository: str) -> None:
    """Raise before anything is made unless this may be a repository and there is what uploads.

    Raises:
        ImportError: huggingface_hub, the extra ``hub``, is missing.
        OSError: there is no token.
        ValueError: it is no ``owner/name``.
    """
    if not HUB_NAME.fullmatch(repository) or '@' in repository:
        raise ValueError(f'{repository!r} is no repository of the Hugging Face hub: expected owner/name')
    hub = _package()
    with _raising_os_error(repository):
        hub.get_token() or hub.HfApi().whoami()  # which says that a token is missing


def upload_folder(folder: str, repository: str, private: bool = False) -> str:
    """Make a repository, if it is not there, and commit the files of a model; its address.

    The token is that of ``hf auth login`` or of the environment (``HF_TOKEN``), the hub that of ``HF_ENDPOINT``.

    Args:
        private: others must not see it.

    Raises:
        OSError: the hub cannot be reached, or does not let this be written.
        ValueError: ``private``, and it is there for all to see.
    """
    hub = _package()
    api = hub.HfApi()
    with _raising_os_error(repository):
        api.create_repo(repository, private=private or None, exist_ok=True)
        is_seen = private and not api.repo_info(repository).private
    if is_seen:
        raise ValueError(f'{repository} is there, and others see it: nothing was written. Make it private on the hub, '
                         'or take another name')
    with _raising_os_error(repository):
        here = [name for name in FILES if osp.isfile(osp.join(folder, name))]
        operations = [hub.CommitOperationAdd(name, osp.join(folder, name)) for name in here]
        if NAMES_FILE not in here and api.file_exists(repository, NAMES_FILE):  # of a former model
            operations.append(hub.CommitOperationDelete(NAMES_FILE))
        commit = api.create_commit(repository, operations, commit_message='Model of mmseg_unsup')
    return str(commit.commit_url)


@contextmanager
def _raising_os_error(repository: str) -> Iterator[None]:
    """A block of calls of the hub, whose errors are of many types, by release and by what failed: they become one."""
    try:
        yield
    except Exception as error:
        raise OSError(f'{repository} cannot be written to the Hugging Face hub ({reason_of(error)}): check network, '
                      'name and token, which must be allowed to write (hf auth login, or HF_TOKEN)') from None


def _package():
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError('pushing a model needs huggingface_hub. Run: pip install "mmseg-unsup[hub]"') from None
    return huggingface_hub
