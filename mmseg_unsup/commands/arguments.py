"""Arguments that several commands take."""
import argparse
from contextlib import contextmanager
from typing import Iterator, Optional

from ..formats.table import FORMATS
from ..utils.checks import number_from
from ..utils.shards import WHOLE, parse_shard

# short names, see apis/prior_configs.py
PRIORS = ('rbd', 'spectral', 'tokencut', 'ncut', 'region', 'principal', 'model', 'folder')


class OptionsAction(argparse.Action):
    """Reads ``--cfg-options``; what is no ``key=value`` is an error of usage. Values: see
    :func:`mmseg_unsup.utils.options.parse_options`."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from ..utils.options import parse_options
        for i, word in enumerate(values):
            if not word.partition('=')[0] or '=' not in word:
                told = f': write {word}={values[i + 1]}' if values[i + 1:] and '=' not in values[i + 1] else ''
                parser.error(f'{option_string} takes key=value, but {word!r} is none{told}')
        try:
            found = parse_options(values)
        except ValueError as error:
            parser.error(f'{option_string} {error}')
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), **found})


class WordsAction(OptionsAction):
    """An :class:`OptionsAction` that also keeps the words of the command line, for the processes that train."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        super().__call__(parser, namespace, values, option_string)
        namespace.words = [*namespace.words, *values]


def add_options_argument(parser: argparse.ArgumentParser,
                         help: str = 'override settings of the config, key=value') -> None:
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, metavar='KEY=VALUE', help=help)


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that runs a config, ``config`` first."""
    parser.add_argument('config', help='config file, or its name, PACKAGE::PATH, such as '
                        'mmseg_unsup::picie/picie_fpn_camvid.py')
    parser.add_argument('--work-dir', help='folder of logs, scores and checkpoints (default: work_dirs/CONFIG_NAME)')
    add_options_argument(
        parser, 'override settings, key=value; dotted keys reach nested ones, and the variables named in the '
        "config's `shortcuts` (data_root, n_clusters, init) reach every place they stand for; a value in quotes of its "
        'own is a text')
    add_launcher_argument(parser)


def add_launcher_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # set by older launchers of torch
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def find_config_first(args: argparse.Namespace) -> None:
    """Raise FileNotFoundError where there is no such config, before the seconds that importing models takes."""
    from ..utils.config import find_config
    find_config(args.config)


def add_shard_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that several processes share the images of."""
    add_launcher_argument(parser)
    parser.add_argument('--shard', type=parse_shard, default=WHOLE, metavar='R/W', help='only every W-th image, from '
                        'number R on, which counts from 0: for W processes that no launcher started, as of a job array')


def add_amp_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--amp', action='store_true', help='mixed precision, bfloat16 where the device has it')


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that train."""
    add_amp_argument(parser)
    parser.add_argument('--compile', action='store_true', help='torch.compile for backbone and neck')


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """``[CONFIG] MODEL`` of the commands that use a trained model outside a runner; what follows them is given too."""

    def config(text: str) -> Optional[str]:
        return None if text == 'none' else text

    parser.add_argument('config', metavar='CONFIG', nargs='?', type=config,
                        help='config file, or mmseg_unsup::NAME (default: the one in the checkpoint, as by none)')
    parser.add_argument('model', metavar='MODEL', help='checkpoint file, or the folder of a training: its last one')
    add_options_argument(parser, 'override settings of the config, key=value')


def add_names_argument(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument('--clusters', help=f"clusters.json: {help} (default: the one in the folder MODEL, if there is "
                        "one; 'none' for none)")


def add_size_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--size', type=int,
                        help="shorter side that the network sees, in pixels (default: the config's)")


def add_refine_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--refine', choices=['none', 'exact', 'lattice'], help='refine maps by a dense CRF: exact on '
                        'cells, or by pydensecrf, which needs the extra crf (default: what the config says, '
                        'model.test_cfg.refine)')


def add_on_error_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--on-error', choices=['raise', 'skip'], default='raise', help='of an image that is unreadable')


@contextmanager
def offering_to_skip() -> Iterator[None]:
    """A block in which the error of an image that is unreadable names that option."""
    from ..datasets.errors import UnreadableImageError
    try:
        yield
    except UnreadableImageError as error:
        raise UnreadableImageError(f'{error.fault}: replace or remove the file, or leave such files out by --on-error '
                                   'skip') from None


def add_released_arguments(parser: argparse.ArgumentParser, config: str) -> None:
    """The arguments of commands that convert checkpoints of released code, by default for ``config``."""
    parser.add_argument('source', metavar='IN', help='checkpoint of the released code')
    parser.add_argument('target', metavar='OUT', help='file to write')
    parser.add_argument('--config', default=config, help='what to convert for (default: %(default)s)')
    parser.add_argument('--force', action='store_true', help='replace OUT if it is there')
    parser.add_argument('--allow', nargs='+', default=[], metavar='MODULE.NAME',
                        help='globals beside argparse.Namespace that the file may load; they can run code')


def add_format_arguments(parser: argparse.ArgumentParser, required: bool = False) -> None:
    parser.add_argument('--format', nargs='+', choices=FORMATS, default=[], required=required, metavar='FORMAT',
                        help='what other programs open: ' + ', '.join(
                            f'{name} ({of_format.files[0]})' for name, of_format in FORMATS.items()))
    parser.add_argument('--tolerance', type=number_from(0), default=1., metavar='PIXELS', help='by which polygons may '
                        'be simpler than the maps; 0 for every step of the pixels (default: %(default)s)')
