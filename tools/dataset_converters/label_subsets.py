"""Write nested random subsets of a training set: the same as ``mmseg-unsup label-subsets``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('label-subsets')
