"""Compare starts by what they reach with few labels: the same as ``mmseg-unsup label-efficiency``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('label-efficiency')
