"""Which images to label next, by how sure a model is of each and what they show."""
import os.path as osp
from typing import Callable, List, Sequence

import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmengine.fileio import load
from torch import Tensor

from ..clustering import rank_to_label
from ..datasets.transforms.loading import LoadImage
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..utils.atomic import write_json
from ..utils.console import counted, say
from ..utils.devices import default_device
from ..utils.paths import printable
from ..utils.progress import track_progress
from ..utils.whole_images import whole_image_pipeline
from .examples import features_of
from .loading import load_segmentor
from .map_files import RECORD

NEXT = 'label_next.json'  # of a folder of results
_MAX_CANDIDATES, _N_NEXT, _N_TOLD = 200, 20, 5
_LOAD = LoadImage()


def rank_images(checkpoint: str, images: str, out: str, labelled: Sequence[str]) -> str:
    """Write which images to label next, those of low confidence that resemble neither labelled images nor each other.

    Args:
        checkpoint: of the model.
        images: folder of all images.
        out: folder of their maps, whose record has the confidences.
        labelled: names of the images that have labels.
    """
    confidence = load(osp.join(out, RECORD))['confidence']
    names = sorted(confidence.keys() - {*labelled}, key=lambda name: (confidence[name], name))[:_MAX_CANDIDATES]
    cfg, model = load_segmentor(None, checkpoint, default_device())
    describe = _Describer(model, Compose(whole_image_pipeline(cfg)))
    paths, others = ([osp.join(images, name) for name in some] for some in (names, labelled))
    doubt = torch.tensor([confidence[name] for name in names])
    with track_progress('looking for images to label', len(paths) + len(others)) as advance:
        described = describe(paths, advance), describe(others, advance)
    chosen = [names[i] for i in rank_to_label(described[0], doubt, described[1], _N_NEXT)] if names else []
    write_json(osp.join(out, NEXT), dict(images=[dict(image=name, confidence=confidence[name]) for name in chosen]))
    return f'{counted(len(chosen), "image")} to label'


def next_images(out: str) -> List[str]:
    """Names of the images that :func:`rank_images` chose for a folder of results, the most useful first."""
    return [entry['image'] for entry in load(osp.join(out, NEXT))['images']]


def tell_next(out: str) -> None:
    """Say how sure the model is, and which images to label next."""
    confidence, wanted = load(osp.join(out, RECORD))['confidence'], next_images(out)
    say(f'the model is {sum(confidence.values()) / len(confidence):.0%} sure on average'
        + ('; label next, the most useful first:' if wanted else ''))
    for name in wanted[:_N_TOLD]:
        say(f'  {confidence[name]:4.0%}  {printable(name)}')


class _Describer:
    """Describes images by the mean of their cells' features of unit length, itself of unit length."""

    def __init__(self, model: ClusterSegmentor, pipeline: Compose) -> None:
        self.model, self.pipeline = model, pipeline

    def __call__(self, paths: List[str], advance: Callable[[int], None]) -> Tensor:
        """(N, C) of the images of these paths."""
        rows = [torch.zeros(0, self.model.decode_head.in_channels, device=self.model.data_preprocessor.device)]
        for path in paths:
            feats = features_of(self.model, self.pipeline, _LOAD(dict(img_path=path, seg_fields=[])))
            rows.append(F.normalize(F.normalize(feats, dim=0).mean((1, 2)), dim=0)[None])
            advance(1)
        return torch.cat(rows)
