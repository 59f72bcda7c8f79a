"""The table of commands: what is in it is there and nothing else, tools are the same, and help comes at once."""
import argparse
import ast
import json
import os
import os.path as osp
import re
import resource
import subprocess
import sys
from glob import glob

import pytest

from mmseg_unsup.commands import COMMANDS, main, make_parser
from mmseg_unsup.utils.config import _FORMS
from ..conftest import ROOT

FOLDER = osp.join(ROOT, 'mmseg_unsup', 'commands')
# what is beside the commands
PARTS = {'__init__', 'arguments', 'errors', 'running', 'table'}
# seconds to import, or printing something
HEAVY = ('torch', 'mmengine', 'mmcv', 'mmseg', 'numpy', 'cv2', 'scipy', 'sklearn', 'skimage', 'rich', 'matplotlib')
HELP_SECONDS = 0.7


def module_name(command: str) -> str:
    return command.replace('-', '_')


def tool_paths() -> list:
    """Below ``tools/``."""
    paths = glob('**/*.py', root_dir=osp.join(ROOT, 'tools'), recursive=True)
    return sorted(path for path in paths if osp.basename(path) != '_torchrun.py')


def command_of(tool: str) -> str:
    """What a tool runs, which is all that it does.

    Raises:
        AssertionError: it does more.
    """
    with open(osp.join(ROOT, 'tools', tool)) as file:
        code = ast.unparse(ast.parse(file.read()).body[1:])  # without the docstring
    match = re.fullmatch(r"from mmseg_unsup.commands import run_tool\nif __name__ == '__main__':\n"
                         r"    run_tool\('([a-z0-9-]+)'\)", code)
    assert match, f'tools/{tool} is more than the call of a command:\n{code}'
    return match[1]


def test_every_command_is_a_module_and_every_module_a_command():
    modules = {osp.splitext(name)[0] for name in os.listdir(FOLDER) if name.endswith('.py')} - PARTS
    assert modules == set(map(module_name, COMMANDS))


@pytest.mark.parametrize('tool', tool_paths())
def test_every_tool_is_a_command(tool):
    assert command_of(tool) in COMMANDS


def test_every_command_has_a_tool():
    commands = [command_of(tool) for tool in tool_paths()]
    assert sorted(commands) == sorted(COMMANDS)


def run_python(*arguments, **kwargs) -> subprocess.CompletedProcess:
    """A fresh interpreter, which imports this checkout, in an empty terminal of 80 columns."""
    env = dict(os.environ, PYTHONPATH=ROOT, COLUMNS='80')
    return subprocess.run([sys.executable, *arguments], env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **kwargs)


def test_all_parsers_import_nothing_heavy():
    code = f"""
import json, sys
from mmseg_unsup.commands import COMMANDS, make_parser
helps = {{name: make_parser(name).format_help() for name in COMMANDS}}
print(json.dumps([helps, [name for name in {HEAVY!r} if name in sys.modules]]))
"""
    done = run_python('-c', code)
    assert done.returncode == 0, done.stderr
    helps, imported = json.loads(done.stdout)
    assert imported == [] and done.stderr == ''
    for command, text in helps.items():
        assert text.startswith(f'usage: mmseg-unsup {command} '), command
        assert '--traceback' in text and not re.search(r'tools/\S+\.py', text), f'{command} speaks of a checkout'


def test_what_fails_or_makes_masks_waits_for_no_more_than_it_takes(tmp_path):
    code = """
import sys
from mmseg_unsup.commands import main
for words in (['train', 'x.py'], ['test', 'x.py', 'y'], ['benchmark', 'x.py'], ['confusion-matrix', 'x.py', 'y', 'z']):
    assert main(words) == 2
print({'mmcv', 'mmseg', 'mmengine.runner'} & {*sys.modules})
import mmseg_unsup.apis.mask_folder, mmseg_unsup.analysis.score_priors, mmseg_unsup.analysis.analyze_logs
print({'mmengine.runner', 'mmseg.models', 'mmseg_unsup.engine'} & {*sys.modules})
"""
    done = run_python('-c', code, cwd=tmp_path)
    assert done.stdout.splitlines() == ['set()', 'set()'], done.stdout + done.stderr
    assert done.stderr.splitlines()[:4] == ["error: there is no config 'x.py': " + _FORMS] * 4


@pytest.mark.parametrize('command', COMMANDS)
def test_help_and_its_examples(command, capsys):
    """The parser takes the examples of the text."""
    with pytest.raises(SystemExit) as ended:
        main([command, '--help'])
    captured = capsys.readouterr()
    assert ended.value.code in (0, None) and captured.out.startswith('usage: ') and not captured.err
    module = sys.modules[f'mmseg_unsup.commands.{module_name(command)}']
    examples = re.findall(rf'^    mmseg-unsup {command} (.+)$', module.__doc__.replace('\\\n', ''), re.M)
    for example in examples:
        make_parser(command).parse_intermixed_args(example.split())


@pytest.mark.parametrize('arguments', [['--help'], ['train', '--help'], ['benchmark', '--help']], ids=' '.join)
def test_help_comes_at_once(arguments, tmp_path):
    """CPU seconds of the process, which other processes do not lengthen."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run_python('-m', 'mmseg_unsup', *arguments, cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0 and done.stdout.startswith('usage: mmseg-unsup') and not done.stderr
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < HELP_SECONDS, seconds


def test_the_list_of_commands(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for command, line in COMMANDS.items():
        assert re.search(rf'^  {command} +{re.escape(line)}$', text, re.M)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize('given, told', [
    ('tran', 'did you mean train?'), ('choose_k', 'did you mean choose-k'), ('segmnet', 'did you mean segment?'),
    ('xyzzy', 'there are segment, predict, ')])
def test_a_misspelt_command(given, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main([given, '--config', 'x'])
    captured = capsys.readouterr()
    assert ended.value.code == 2 and not captured.out
    assert captured.err.startswith(f'error: there is no command {given!r}: {told}') and captured.err.count('\n') == 1


def test_wrong_arguments_are_one_line(capsys):
    for given in (['train'], ['train', 'c', '--resumee'], ['benchmark', 'c', '--warmup', 'x'], ['--unheard']):
        with pytest.raises(SystemExit) as ended:
            main(given)
        captured = capsys.readouterr()
        assert ended.value.code == 2 and captured.err.startswith('error: ') and captured.err.count('\n') == 1


def argument(command: str, name: str) -> argparse.Action:
    return next(action for action in make_parser(command)._actions if name in (*action.option_strings, action.dest))


def test_choices_are_those_of_the_library():
    """They are written out in the parsers, as the modules that have them take seconds to import."""
    from mmseg_unsup.converters.extract_backbone import FORMATS, WEIGHTS
    from mmseg_unsup.evaluation.functional.matching import CRITERIA, MATCHES
    from mmseg_unsup.utils.distributed import _LAUNCHERS
    assert argument('train', '--launcher').choices == ['none', *_LAUNCHERS]
    assert list(argument('gallery', '--match-on').choices) == list(CRITERIA)
    for matching in (argument('gallery', '--match'), argument('name', '--from-labels')):
        assert set(matching.choices) == set(MATCHES) - {'identity'}  # which needs clusters that are classes
    assert argument('extract-backbone', '--format').choices == list(FORMATS)
    assert argument('extract-backbone', '--weights').choices == list(WEIGHTS)


@pytest.mark.parametrize('command', ['convert-picie', 'convert-maskcontrast'])
def test_configs_that_converters_name_are_there(command):
    from mmseg_unsup.utils.config import find_config
    assert osp.isfile(find_config(argument(command, '--config').default))
