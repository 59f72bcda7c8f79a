"""Make folders of pictures of videos: the same as ``mmseg-unsup frames``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('frames')
