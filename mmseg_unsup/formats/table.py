"""Which annotation formats there are."""
import os.path as osp
from importlib.util import find_spec
from typing import Iterable, NamedTuple, Optional, Sequence, Tuple

_EXTRAS = {'rasterio': 'geo'}  # of packages that are not of the extra formats
_POLYGONS, _MASKS = ('shapely', ), ('pycocotools', )
_GEOS = (3, 12, 0)  # which brought what simplifies neighbours together


class Format(NamedTuple):
    """What an annotation format can hold, and what it takes to write it.

    Attributes:
        files: what is written among the results, the first one to open; a folder ends in ``/``.
        needs: packages that write it.
        suffix: of the file of an image, whose own suffix it replaces; None where one file has all images.
        max_classes: None for any number.
        beside: what the name of a second file of an image has besides.
    """
    files: Tuple[str, ...]
    needs: Tuple[str, ...] = _POLYGONS
    suffix: Optional[str] = None
    max_classes: Optional[int] = None
    beside: str = ''


FORMATS = {
    'coco': Format(('coco.json', ), _MASKS),
    'coco-polygons': Format(('coco_polygons.json', )),
    'label-studio': Format(('label_studio.json', 'label_studio.xml')),
    'cvat': Format(('cvat.xml', 'cvat_labels.json')),
    'yolo': Format(('yolo/', ), suffix='.txt'),
    'labelme': Format(('labelme/', ), suffix='.json'),
    'cityscapes': Format(('cityscapes/', ), (), '_gtFine_labelIds.png', 255),
    'geotiff': Format(('geotiff/', ), ('rasterio', ), '.tif', 255, '.aux.xml'),
    'video': Format(('videos/', ), ()),
}


def file_of(name: str, image: str) -> str:
    """The file of an image in the folder of a format; that of Cityscapes leaves out what ends the names of its
    images."""
    stem = osp.splitext(image)[0]
    return (stem.removesuffix('_leftImg8bit') if name == 'cityscapes' else stem) + FORMATS[name].suffix


def check_formats(formats: Iterable[str]) -> None:
    """Raise unless what writes these formats is there.

    Raises:
        ImportError: a package of an extra is missing.
        ValueError: there is no such format.
    """
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f'there is no format {name!r}: choose from {", ".join(FORMATS)}')
        check_packages(FORMATS[name].needs, f'the format {name}')


def check_packages(packages: Sequence[str], what: str) -> None:
    """Raise ImportError, which names what needs them, unless packages of an extra can be used."""
    for package in packages:
        if not _is_there(package):
            release = ' 2.1 with GEOS 3.12 or later' if package == 'shapely' else ''
            raise ImportError(f'{what} needs {package}{release}, which is not installed. Run: pip install '
                              f'"mmseg-unsup[{_EXTRAS.get(package, "formats")}]"')


def _is_there(package: str) -> bool:
    if find_spec(package) is None:
        return False
    if package == 'shapely':
        import shapely
        return hasattr(shapely, 'coverage_simplify') and shapely.geos_version >= _GEOS
    return True
