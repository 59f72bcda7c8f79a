"""Evaluate a checkpoint: the same as ``mmseg-unsup test``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('test')
