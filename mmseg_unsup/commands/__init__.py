"""The commands of ``mmseg-unsup``.

A command is a module here: its docstring is the help, ``add_arguments(parser)`` declares what it takes and
``run(args)`` does it, returning an exit status or None for 0. Importing one must take no time, as ``--help`` imports
all that a user waits for: what is heavy is imported inside of ``run``. The scripts of ``tools/`` run the same modules.
"""
from .table import COMMANDS, load_command, main, make_parser, run_command, run_tool

__all__ = ['COMMANDS', 'load_command', 'main', 'make_parser', 'run_command', 'run_tool']
