"""Show what the clusters of a model are, on one page: the same as ``mmseg-unsup gallery``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('gallery')
