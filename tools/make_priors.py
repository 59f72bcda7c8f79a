"""Write a mask per image: the same as ``mmseg-unsup priors``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('priors')
