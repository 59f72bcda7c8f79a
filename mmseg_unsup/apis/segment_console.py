"""What a person reads of :func:`mmseg_unsup.segment_folder`."""
from typing import Dict, List, Sequence

from mmengine.config import Config
from mmengine.logging import print_log

from ..utils.console import counted, say
from ..utils.paths import shown
from .image_input import header_shape
from .segment_request import Request

LOG = 'segment_folder.log'
_MAX_HEADERS = 1000
_MAX_CLUSTERS = 6
_MAX_FAULTS = 5


def tell_start(request: Request, cfg: Config, paths: Sequence[str]) -> None:
    """The images, and what is done with them."""
    clusters = f', {counted(cfg.n_clusters, "cluster")}' if 'n_clusters' in cfg else ''
    say(f'{counted(len(paths), "image")} in {shown(request.images)}{_sizes(paths)}')
    say(f'{request.method}, {counted(cfg.train_cfg.max_epochs, "epoch")}{clusters}')


def _sizes(paths: Sequence[str]) -> str:
    """The smallest and the largest, by the headers of some; empty if there is none that can be read."""
    headers = [header_shape(path) for path in paths[::-(-len(paths) // _MAX_HEADERS)]]
    shapes = sorted({shape for shape in headers if shape is not None}, key=lambda shape: shape[0] * shape[1])
    texts = [f'{width}x{height}' for height, width in shapes]
    return f', {" to ".join(dict.fromkeys([texts[0], texts[-1]]))} pixels' if texts else ''


def tell_faults(faults: List[str]) -> None:
    """Why images cannot be read; the log has all."""
    for fault in faults[:_MAX_FAULTS]:
        say(fault)
    for fault in faults[_MAX_FAULTS:]:
        print_log(fault, 'current')
    if len(faults) > _MAX_FAULTS:
        say(f'and {len(faults) - _MAX_FAULTS} more, see {LOG}')


def tell_shares(shares: Dict[str, float]) -> None:
    """A table of the largest clusters."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    rows, rest = ordered[:_MAX_CLUSTERS], ordered[_MAX_CLUSTERS:]
    if rest:
        rows.append((f'{len(rest)} smaller', sum(share for _, share in rest)))
    width = max((len(name) for name, _ in rows), default=0)
    for name, share in rows:
        say(f'  {name:{width}}  {share:6.1%}')
