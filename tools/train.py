"""Train a model from a config: the same as ``mmseg-unsup train``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('train')
