"""Which commands there are, and how one is run."""
import argparse
import gc
import os.path as osp
import sys
import textwrap
from importlib import import_module
from types import ModuleType
from typing import List, NoReturn, Optional, Sequence

from ..import_hooks import after_import
from ..utils.near_names import did_you_mean, similar
from ..version import __version__

PROG = 'mmseg-unsup'
# what the user is about to do -> command -> what it does
GROUPS = {
    'With photographs': dict(
        segment='find segments in a folder of photographs',
        predict='segment other images by a trained model',
        learn='learn from corrected maps, and segment the folder anew',
        gallery='show the clusters of a model on one page',
        name='name, colour and merge clusters',
        export='write a model as one file that runs without this package',
        push='give a model to others, as a folder or on a hub',
    ),
    'With a config': dict(
        train='train a model',
        test='evaluate a checkpoint',
        check='open every file of a config once and list what is wrong',
        priors='make the object masks that MaskContrast trains on',
        download='data sets and weights by name',
    ),
    'Study': {
        'seeds': 'train configs with several seeds and write one table',
        'evaluate-released': 'scores of a released checkpoint, as published and honest',
        'join-tables': 'one table of evaluations that were made alike',
        'label-efficiency': 'fine-tune on growing shares of the labels',
        'choose-k': 'what the number of clusters does, without labels',
        'position': 'how far features tell their place in the image',
        'score-priors': 'compare object masks with labels',
        'confusion-matrix': 'classes by clusters, as a picture',
        'analyze-logs': 'curves and settings of several runs',
        'browse-views': 'the views that a config trains on',
        'get-flops': 'parameters and operations of a model',
        'benchmark': 'images a second and memory of a training',
        'side-by-side': 'cost of training beside that of the released PiCIE code',
        'gpu-report': 'check results, speeds and memory on a GPU',
    },
    'Convert': {
        'extract-backbone': 'the backbone of a checkpoint as a plain file',
        'convert-picie': 'a checkpoint of the released PiCIE or MDC code',
        'convert-maskcontrast': 'a checkpoint of the released MaskContrast code',
        'convert-released': 'a released checkpoint of STEGO, HP, CAUSE and others',
        'coco-stuff27': 'the curated image lists of COCO-Stuff',
        'label-subsets': 'nested random subsets of a training set',
        'frames': 'videos as folders of pictures',
        'rasters': 'satellite and aerial images as a folder of pictures',
        'convert-maps': 'maps as annotations, GeoTIFFs or videos',
        'labels-to-masks': 'object masks from label maps',
    },
}
COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Fills paragraphs to the width of the terminal, and leaves indented lines, which are examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split('\n\n')
        return '\n\n'.join(paragraph if paragraph.startswith(' ') else textwrap.fill(paragraph, width)
                           for paragraph in paragraphs)


class CommandParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {message}{self._advice(message)} (see {self.prog} --help)\n')

    def _advice(self, message: str) -> str:
        """Options that are spelt nearly as one that is unknown, which the message names first."""
        unknown = message.removeprefix('unrecognized arguments: ').split(' ')[0].partition('=')[0]
        is_option = unknown.startswith('--') and unknown not in self._option_string_actions
        near = similar(unknown, self._option_string_actions)[:1] if is_option else ()
        return f': {did_you_mean(near)}' if near else ''


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``mmseg-unsup COMMAND ...``; the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = CommandParser(PROG, f'{PROG} COMMAND ...', 'Semantic segmentation without labels.', _listing(),
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=__version__)
    if argv[:1] and not argv[0].startswith('-'):
        name, *rest = argv
        if name not in COMMANDS:
            parser.error(f'there is no command {name!r}: '
                         + did_you_mean(similar(name.replace('_', '-'), COMMANDS), f'there are {", ".join(COMMANDS)}'))
        return run_command(name, rest)
    parser.parse_args(argv)
    parser.print_help()
    return 0


def run_command(name: str, argv: Optional[Sequence[str]] = None, prog: Optional[str] = None) -> int:
    """Run one of them; the exit status.

    Args:
        argv: its arguments; by default those of this process.
        prog: what messages call it.
    """
    args = make_parser(name, prog).parse_intermixed_args(argv)
    # mmengine collects garbage for every data set: a quarter of a second each, were all that is imported looked at
    after_import('mmseg.models', gc.freeze)
    from .running import running  # seconds, which a help text need not wait for
    with running(vars(args).pop('verbose'), vars(args).pop('traceback')) as ending:
        ending.status = load_command(name).run(args) or 0
    return ending.status


def load_command(name: str) -> ModuleType:
    """The module of a command."""
    return import_module(f'.{name.replace("-", "_")}', __package__)


def make_parser(name: str, prog: Optional[str] = None) -> CommandParser:
    """The parser of a command."""
    module = load_command(name)
    parser = CommandParser(prog or f'{PROG} {name}', description=module.__doc__, formatter_class=_HelpFormatter)
    module.add_arguments(parser)
    parser.add_argument('--verbose', action='store_true', help='print all that the log has')
    parser.add_argument('--traceback', action='store_true', help='print where an error arose')
    return parser


def run_tool(name: str) -> NoReturn:
    """Run a command as a script of ``tools/``, which ends with its status."""
    sys.exit(run_command(name, prog=osp.basename(sys.argv[0])))


def _listing() -> str:
    lines: List[str] = []
    for title, group in GROUPS.items():
        lines += [f'{title}:', *(f'  {name:22}{line}' for name, line in group.items()), '']
    return '\n'.join([*lines, f'{PROG} COMMAND --help says what a command takes.'])
