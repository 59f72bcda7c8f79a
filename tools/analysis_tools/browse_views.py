"""Show the views that a config trains on: the same as ``mmseg-unsup browse-views``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('browse-views')
