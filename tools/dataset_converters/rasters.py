"""Make pictures of satellite and aerial images: the same as ``mmseg-unsup rasters``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('rasters')
