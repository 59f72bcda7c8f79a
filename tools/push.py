"""Give a trained model to others: the same as ``mmseg-unsup push``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('push')
