"""A model folder on the Hugging Face hub."""
import os.path as osp

from ..apis.model_files import HUB, is_hub_name, reason_of
from .model_folder import FILES


def check_hub(repository: str) -> None:
    """Raise before anything is made unless this may be a repository and there is what uploads.

    Raises:
        ImportError: huggingface_hub, the extra ``hub``, is missing.
        ValueError: it is no ``owner/name``.
    """
    if not is_hub_name(HUB + repository) or repository.count('/') != 1 or '@' in repository:
        raise ValueError(f'{repository!r} is no repository of the Hugging Face hub: expected owner/name')
    _package()


def upload_folder(folder: str, repository: str, private: bool = False) -> str:
    """Make a repository, if it is not there, and commit the files of a model; its address.

    The token is that of ``hf auth login`` or of the environment (``HF_TOKEN``), the hub that of ``HF_ENDPOINT``.

    Raises:
        OSError: the hub cannot be reached, or does not let this be written.
    """
    hub = _package()
    operations = [hub.CommitOperationAdd(name, osp.join(folder, name)) for name in FILES
                  if osp.isfile(osp.join(folder, name))]
    api = hub.HfApi()
    try:
        hub.get_token() or api.whoami()  # which says that a token is missing
        api.create_repo(repository, private=private or None, exist_ok=True)
        commit = api.create_commit(repository, operations, commit_message='Model of mmseg_unsup')
    except Exception as error:  # of many types, by release and by what failed
        raise OSError(f'{repository} cannot be written to the Hugging Face hub ({reason_of(error)}): check network, '
                      'name and token, which must be allowed to write (hf auth login, or HF_TOKEN)') from None
    return str(commit.commit_url)


def _package():
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError('pushing a model needs huggingface_hub. Run: pip install "mmseg-unsup[hub]"') from None
    return huggingface_hub
