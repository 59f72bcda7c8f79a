"""What :func:`mmseg_unsup.segment_folder` gives."""
from typing import Dict, List, NamedTuple


class SegmentedFolder(NamedTuple):
    """What was found in a folder of images, and where it is.

    Attributes:
        folder: of all that was written.
        maps: folder of a PNG of cluster ids per image.
        overlays: folder of the images coloured by them.
        predictions: JSON file, the share of each cluster per image.
        gallery: HTML page that shows the clusters.
        checkpoint: of the network.
        n_images: that have a map.
        n_clusters: without the background of MaskContrast.
        shares: name of a cluster -> share of the pixels of the images that the page is made of; with the background.
        unreadable: images that were left out.
    """
    folder: str
    maps: str
    overlays: str
    predictions: str
    gallery: str
    checkpoint: str
    n_images: int
    n_clusters: int
    shares: Dict[str, float]
    unreadable: List[str]
