"""Segment images by a trained model: the same as ``mmseg-unsup predict``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('predict')
