"""Check what a GPU makes of this package: the same as ``mmseg-unsup gpu-report``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('gpu-report')
