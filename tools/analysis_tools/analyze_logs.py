"""Compare runs by their logs: the same as ``mmseg-unsup analyze-logs``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('analyze-logs')
