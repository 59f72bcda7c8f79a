"""Put tables of evaluations that were made alike into one: the same as ``mmseg-unsup join-tables``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('join-tables')
