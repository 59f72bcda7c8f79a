"""Measure position in features without labels: the same as ``mmseg-unsup position``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('position')
