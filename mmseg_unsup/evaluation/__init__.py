from . import metrics, probes
from .metrics import *  # noqa: F403
from .probes import *  # noqa: F403

__all__ = [*metrics.__all__, *probes.__all__]
