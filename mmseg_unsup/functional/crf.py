"""CRFs by the names that configs give them."""
from .dense_crf import CRF, DenseCRF
from .exact_crf import ExactCRF

# 'lattice' is fast and approximate, and needs a compiled package; 'exact' sees large images at fewer cells
METHODS = dict(lattice=DenseCRF, exact=ExactCRF)


def build_crf(method: str = 'lattice', **settings) -> CRF:
    """The CRF of a config's settings.

    Raises:
        ImportError: the method needs a package that is not installed.
        ValueError: unknown method, or a setting that it does not take.
    """
    if method not in METHODS:
        raise ValueError(f'method={method!r} of a CRF is not one of {tuple(METHODS)}')
    return METHODS[method](**settings)
