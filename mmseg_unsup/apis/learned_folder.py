"""What :func:`mmseg_unsup.learn_folder` gives."""
from typing import List, NamedTuple


class LearnedFolder(NamedTuple):
    """What was made of a folder of images and the corrections of some, and where it is.

    Attributes:
        folder: of all that was written.
        labels: folder of the label maps that were learnt from.
        maps: folder of a PNG of class ids per image.
        overlays: folder of the images coloured by them.
        predictions: JSON file, the share of each class and the confidence per image.
        checkpoint: of the network.
        classes: their names.
        n_labelled: images with labels.
        n_images: that have a map.
        unreadable: images that were left out.
    """
    folder: str
    labels: str
    maps: str
    overlays: str
    predictions: str
    checkpoint: str
    classes: List[str]
    n_labelled: int
    n_images: int
    unreadable: List[str]
