"""Write the backbone of a checkpoint as a plain file: the same as ``mmseg-unsup extract-backbone``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('extract-backbone')
