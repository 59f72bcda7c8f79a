"""Compare the cost of training with that of the released PiCIE code: the same as ``mmseg-unsup side-by-side``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('side-by-side')
