"""Learn from corrected maps, and segment a folder anew: the same as ``mmseg-unsup learn``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('learn')
