"""The images of a folder, looked at before hours are spent on them."""
from typing import List, Sequence

from mmengine.logging import print_log

from ..datasets.pictures import header_shape
from ..utils.console import say, size_text
from .image_input import unreadable_images
from .picture_model import WHOLE_BYTES

_MAX_CHECKED, _MAX_HEADERS = 5000, 1000  # images that are decoded, and headers that are read
_MAX_FAULTS = 5  # that are told


def check_files(paths: Sequence[str], on_error: str, log: str) -> str:
    """Say which images cannot be read, before anything is made of them; of many images, evenly spaced ones.

    Args:
        on_error: ``'raise'`` or ``'skip'``.
        log: name of the file that has all faults.

    Raises:
        ValueError: images cannot be read, and none is left or none may be left out.
    """
    checked = _spaced(paths, _MAX_CHECKED)
    faults = unreadable_images(checked, lambda shape: WHOLE_BYTES * shape[0] * shape[1])
    _tell_faults(faults, log)
    if faults and (on_error == 'raise' or len(faults) == len(checked)):
        raise ValueError(f'{len(faults)} of {len(checked)} images cannot be read, see above: mend or remove them, or '
                         'leave them out by --on-error skip')
    others = f'; the other {len(paths) - len(checked)} are looked at as they are used'
    return f'{len(checked) - len(faults)} of {len(checked)} can be read{others * (len(checked) < len(paths))}'


def sizes_fact(paths: Sequence[str]) -> str:
    """The smallest and the largest, by the headers of some; empty if there is none that can be read."""
    headers = [header_shape(path) for path in _spaced(paths, _MAX_HEADERS)]
    shapes = sorted({shape for shape in headers if shape is not None}, key=lambda shape: shape[0] * shape[1])
    texts = [size_text(shape) for shape in shapes]
    return f', {" to ".join(dict.fromkeys([texts[0], texts[-1]]))} pixels' if texts else ''


def _spaced(paths: Sequence[str], most: int) -> Sequence[str]:
    """So many of the paths or fewer, evenly spaced."""
    return paths[::-(-len(paths) // most)]


def _tell_faults(faults: List[str], log: str) -> None:
    for fault in faults[:_MAX_FAULTS]:
        say(fault)
    for fault in faults[_MAX_FAULTS:]:
        print_log(fault, 'current')
    if len(faults) > _MAX_FAULTS:
        say(f'and {len(faults) - _MAX_FAULTS} more, see {log}')
