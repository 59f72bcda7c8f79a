"""Write the curated lists of COCO-Stuff: the same as ``mmseg-unsup coco-stuff27``."""
from mmseg_unsup.commands import run_tool

if __name__ == '__main__':
    run_tool('coco-stuff27')
