"""Measure an epoch of a config: the same as ``mmseg-unsup benchmark``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('benchmark')
