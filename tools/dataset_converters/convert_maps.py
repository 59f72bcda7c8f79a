"""Write finished maps as annotations that labelling programs open: the same as ``mmseg-unsup convert-maps``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('convert-maps')
