"""Draw the confusion matrix of a checkpoint: the same as ``mmseg-unsup confusion-matrix``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('confusion-matrix')
