"""CRFs by the names that configs give them."""
from typing import Optional

from .dense_crf import CRF, DenseCRF
from .exact_crf import ExactCRF

# 'lattice' is fast and approximate, and needs a compiled package; 'exact' sees large images at fewer cells
METHODS = dict(lattice=DenseCRF, exact=ExactCRF)
# settings for maps, where others are not given; more cells take longer and score the same
OF_MAPS = dict(exact=dict(max_cells=1600))


def refine_settings(refine: Optional[dict], **defaults) -> Optional[dict]:
    """Settings of a refinement of maps from what a config's ``test_cfg.refine`` says: settings, of which the method may
    be 'none', or None; None for no refinement.

    Args:
        defaults: of the settings that it does not say.

    Raises:
        TypeError: it is something else.
    """
    if refine is None:
        return None
    if not isinstance(refine, dict):
        raise TypeError(f"model.test_cfg.refine={refine!r} is no dict of settings: write dict(method='exact')")
    method = refine.get('method', 'exact')  # the one that needs no package
    return None if method == 'none' else {'method': method, **OF_MAPS.get(method, {}), **defaults, **refine}


def build_crf(method: str = 'lattice', **settings) -> CRF:
    """The CRF of a config's settings.

    Raises:
        ImportError: the method needs a package that is not installed.
        ValueError: unknown method, or a setting that it does not take.
    """
    if method not in METHODS:
        raise ValueError(f'method={method!r} of a CRF is not one of {tuple(METHODS)}')
    try:
        return METHODS[method](**settings)
    except TypeError as error:
        raise ValueError(f'the CRF of method={method!r} does not take {settings}: {error}') from None
