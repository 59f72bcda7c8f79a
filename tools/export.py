"""Write a trained model as one file that runs without this package: the same as ``mmseg-unsup export``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('export')
