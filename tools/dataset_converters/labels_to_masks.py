"""Make object masks from label maps: the same as ``mmseg-unsup labels-to-masks``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('labels-to-masks')
