"""``python -m mmseg_unsup`` is ``mmseg-unsup``."""
import sys

from .commands import main

sys.exit(main())
