"""Score a released checkpoint under protocol cards: the same as ``mmseg-unsup evaluate-released``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('evaluate-released')
