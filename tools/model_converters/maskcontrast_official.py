"""Convert a checkpoint of the released MaskContrast code: the same as ``mmseg-unsup convert-maskcontrast``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('convert-maskcontrast')
