"""Name, merge and list the clusters of a trained model: the same as ``mmseg-unsup name``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('name')
