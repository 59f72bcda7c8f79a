"""Folders of pictures that one command with one set of settings fills."""
import json
import os
import os.path as osp
from typing import Any, Dict

from ..apis.folder_journal import check_settings
from ..utils.atomic import write_json
from ..utils.paths import printable


def own_folder(folder: str, record: str, settings: Dict[str, Any]) -> None:
    """Make a folder and write what its files depend on into it, before there are any.

    Args:
        record: name of that file.
        settings: plain values.

    Raises:
        ValueError: it holds other files, or such of other settings; it is a file.
    """
    path, settings = osp.join(folder, record), json.loads(json.dumps(settings))
    if osp.exists(path):
        check_settings(read_record(path), settings, path)
        return
    if osp.exists(folder) and (not osp.isdir(folder) or os.listdir(folder)):
        raise ValueError(f'{printable(folder)} holds other files, or is one: give a folder that is empty or new')
    os.makedirs(folder, exist_ok=True)
    write_json(path, settings)


def read_record(path: str) -> Dict[str, Any]:
    """What :func:`own_folder` wrote; ValueError if the file is damaged."""
    try:
        with open(path, encoding='utf-8') as file:
            return {**json.load(file)}
    except (ValueError, TypeError):
        raise ValueError(f'{printable(path)} is no record of what was made: remove that folder') from None
