"""Download a data set or weights by name: the same as ``mmseg-unsup download``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('download')
