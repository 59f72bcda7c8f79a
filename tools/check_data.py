"""Open every file of a config once and list what is wrong: the same as ``mmseg-unsup check``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('check')
