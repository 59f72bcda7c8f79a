"""Convert a checkpoint of the released PiCIE or MDC code: the same as ``mmseg-unsup convert-picie``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('convert-picie')
