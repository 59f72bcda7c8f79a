"""Compare numbers of clusters without labels: the same as ``mmseg-unsup choose-k``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('choose-k')
