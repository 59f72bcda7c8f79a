"""Convert a released checkpoint of a method on frozen features: the same as ``mmseg-unsup convert-released``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('convert-released')
