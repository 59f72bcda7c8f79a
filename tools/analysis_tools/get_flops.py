"""Count parameters and operations of a model: the same as ``mmseg-unsup get-flops``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('get-flops')
