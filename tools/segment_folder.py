"""From a folder of images to segments: the same as ``mmseg-unsup segment``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('segment')
