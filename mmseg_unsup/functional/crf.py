"""CRFs by the names that configs give them."""
from typing import Optional, Union

from .dense_crf import CRF, DenseCRF
from .exact_crf import ExactCRF

# 'lattice' is fast and approximate, and needs a compiled package; 'exact' sees large images at fewer cells
METHODS = dict(lattice=DenseCRF, exact=ExactCRF)


def refine_settings(refine: Union[str, dict, None], **defaults) -> Optional[dict]:
    """Settings of :func:`build_crf` from what a config's ``test_cfg.refine`` says: the name of a method, settings, or
    None and 'none' for no refinement.

    Args:
        defaults: of the settings that it does not say.

    Raises:
        TypeError: it is something else.
    """
    if refine in (None, 'none'):
        return None
    if isinstance(refine, str):
        refine = dict(method=refine)
    if not isinstance(refine, dict):
        raise TypeError(f"refine={refine!r} is neither 'none', nor a method of {tuple(METHODS)}, nor a dict of settings")
    settings = dict(dict(method='exact', **defaults), **refine)  # the one that needs no package
    return None if settings['method'] in (None, 'none') else settings


def build_crf(method: str = 'lattice', **settings) -> CRF:
    """The CRF of a config's settings.

    Raises:
        ImportError: the method needs a package that is not installed.
        ValueError: unknown method, or a setting that it does not take.
    """
    if method not in METHODS:
        raise ValueError(f'method={method!r} of a CRF is not one of {tuple(METHODS)}')
    return METHODS[method](**settings)
