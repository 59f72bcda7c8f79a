"""Compare object masks with those that people drew: the same as ``mmseg-unsup score-priors``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('score-priors')
