"""Which distributions provide torch, mmengine, mmcv and mmseg, and whether they belong together."""
import importlib
import warnings
from importlib import metadata
from importlib.util import find_spec

# module -> {flavour: distributions that provide it}
_PROVIDERS = {
    'mmengine': dict(onedl=['onedl-mmengine'], openmmlab=['mmengine', 'mmengine-lite']),
    'mmcv': dict(onedl=['onedl-mmcv'], openmmlab=['mmcv', 'mmcv-lite']),
    'mmseg': dict(onedl=['onedl-mmsegmentation'], openmmlab=['mmsegmentation']),
}
_REMEDY = 'pip install "mmseg-unsup[onedl]" (maintained forks, no compiler needed)'


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_stack() -> dict:
    """Check the host packages and return ``{module: flavour}``.

    Raises:
        ImportError: a host module is missing; the message names the extra that brings it.

    Warns:
        Two distributions provide one module (the last one installed wins, and removing either deletes the shared
        folder), or the flavours are mixed.
    """
    missing = [module for module in ('torch', *_PROVIDERS) if find_spec(module) is None]
    if missing:
        raise ImportError(f'mmseg_unsup needs {", ".join(missing)}, which cannot be imported. Run: {_REMEDY}')
    flavours = {}
    for module, by_flavour in _PROVIDERS.items():
        found = [(flavour, dist) for flavour, dists in by_flavour.items() for dist in dists if _is_installed(dist)]
        if len(found) > 1:
            names = ' and '.join(dist for _, dist in found)
            warnings.warn(f'{names} are both installed and both provide the module {module}: '
                          f'uninstall both, then {_REMEDY}', stacklevel=2)
        if found:  # a source checkout on PYTHONPATH has no distribution: nothing to compare
            flavours[module] = found[-1][0]
    if len(set(flavours.values())) > 1:
        listing = ', '.join(f'{module} from {flavour}' for module, flavour in flavours.items())
        warnings.warn(f'the host packages are mixed ({listing}): uninstall them, then {_REMEDY}',
                      stacklevel=2)
    return flavours


def check_backbone(kind: object) -> None:
    """Check, for a ``type`` of a backbone, that the package which it is of can be imported.

    Raises:
        ImportError: as :func:`check_mmpretrain`; or timm is missing.
    """
    name = str(kind)
    if name.startswith('mmpretrain.'):
        check_mmpretrain(name)
    if name.rpartition('.')[2] == 'TIMMBackbone':
        try:
            importlib.import_module('timm')
        except (ImportError, RuntimeError) as error:  # of its torchvision
            raise ImportError(f'the backbone {name} needs timm and a torchvision built for this torch '
                              f'({str(error).splitlines()[0]}): pip install timm torch torchvision, in one command'
                              ) from None


def check_mmpretrain(kind: str) -> None:
    """Check, for the backbone ``kind``, that mmpretrain can be imported.

    Raises:
        ImportError: mmpretrain or torchvision is missing, or torchvision was built for another torch; the message names
            the extra that brings them.
    """
    try:
        importlib.import_module('torchvision')  # beside a torch that it was not built for it raises RuntimeError
        importlib.import_module('mmpretrain')
    except (ImportError, RuntimeError) as error:
        raise ImportError(f'the backbone {kind} needs mmpretrain and a torchvision built for this torch '
                          f'({str(error).splitlines()[0]}): pip install "mmseg-unsup[mmpretrain]" torch, in one '
                          'command ("mmseg-unsup[openmmlab-mmpretrain]" with the upstream packages)') from None
