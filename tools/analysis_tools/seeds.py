"""Train configs with several seeds and write one table: the same as ``mmseg-unsup seeds``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('seeds')
