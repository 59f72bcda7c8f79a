"""What a page says of the images that a model of examples is least sure of."""
import base64
import os.path as osp
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image

from ..datasets.pictures import read_rgb
from ..utils.paths import printable
from ..visualization import overlay
from ..visualization.gallery_pictures import encode_jpeg, shrunk
from .map_files import MapFiles

_SIDE = 240


class WantedLabels(NamedTuple):
    """How sure a model is of every image, and which images would help most if they were labelled.

    Attributes:
        confidence: name of an image -> from 0 to 1.
        names: of the images to label next, the most useful first.
        images: folder of all images.
        out: folder of their maps.
        palette: (K, 3) uint8 RGB of the classes.
    """
    confidence: Dict[str, float]
    names: Sequence[str]
    images: str
    out: str
    palette: np.ndarray

    @property
    def facts(self) -> List[Tuple[str, str, str]]:
        """The number at the top of the page."""
        values = [*self.confidence.values()]
        return [('Confidence', f'{sum(values) / len(values):.0%}', f'mean of the images; the lowest {min(values):.0%}')]

    @property
    def rows(self) -> List[Dict[str, str]]:
        """Name, confidence and drawing of the images to label next, for the page."""
        return [dict(name=printable(name), confidence=f'{self.confidence[name]:.0%}',
                     jpeg=base64.b64encode(encode_jpeg(self._drawn(name))).decode()) for name in self.names]

    def _drawn(self, name: str) -> np.ndarray:
        picture = shrunk(read_rgb(osp.join(self.images, name)), _SIDE)
        ids = Image.open(MapFiles.paths(self.out, name)[0]).resize(picture.shape[1::-1], Image.Resampling.NEAREST)
        return overlay(picture, np.asarray(ids), self.palette)
