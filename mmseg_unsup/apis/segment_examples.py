"""The stages of :func:`mmseg_unsup.segment_folder` that use labelled images."""
import os.path as osp
from typing import Dict, List, Tuple

import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.fileio import load
from torch import Tensor

from ..clustering import rank_to_label
from ..datasets.transforms.loading import LoadImage
from ..engine.checkpoint_files import last_checkpoint
from ..models.segmentors.cluster_segmentor import ClusterSegmentor
from ..structures import ClusterNames
from ..utils.atomic import write_json, write_text
from ..utils.console import counted, say
from ..utils.devices import default_device
from ..utils.memory import check_memory
from ..utils.paths import printable
from ..utils.progress import track_progress
from ..utils.whole_images import whole_image_pipeline
from .examples import EXAMPLES, Examples, features_of, learn_examples
from .folder_journal import ImageNames
from .gallery import make_gallery
from .inferencer import UnsupInferencer
from .loading import load_segmentor, model_config
from .map_files import RECORD
from .model_files import EXAMPLES_FILE, NAMES_FILE
from .predicted_folder import predict_folder
from .segment_request import GALLERY, Request
from .segment_stages import Stages

NEXT, LIST = 'label_next.json', 'examples.txt'
_MAX_CELLS = 20_000  # of which a feature map of stride 4 is looked up in about a second on a core
_MAX_SHOWN = 500  # images that the page is made of
_MAX_CANDIDATES, _N_NEXT, _N_TOLD = 200, 20, 5
_LOAD = LoadImage()


def find_examples(request: Request, cfg: Config, paths: List[str]) -> Examples:
    """The labelled images of a request.

    Raises:
        FileNotFoundError, ValueError: see :class:`Examples`; a method whose features are of objects; names of clusters
            would be overwritten.
        MemoryError: what is remembered of them may not fit.
    """
    if request.finds_objects:
        raise ValueError(f'--examples needs features of every pixel, and {request.method} has those of objects: give '
                         'another --method')
    names = request.path(NAMES_FILE)
    if osp.isfile(names) and ClusterNames.load(names).cluster_set != EXAMPLES:
        raise ValueError(f'{printable(names)} has names of clusters, whose place the names of the classes would take: '
                         'move it, or use another --out')
    examples = Examples(request.images, paths, request.examples, request.classes)
    n_cells, n_channels = min(_MAX_CELLS, examples.n_pixels), cfg.model.decode_head.in_channels
    check_memory(f'a memory of {n_cells} cells of {n_channels} channels', 8. * n_cells * n_channels,
                 'give fewer examples, or a --config whose features have fewer channels')
    return examples


def learn(request: Request, examples: Examples) -> str:
    """Write the model of the examples, the names of its classes, and a list of the examples for a training."""
    checkpoint = last_checkpoint(request.path('train'))
    names = learn_examples(checkpoint, examples, request.path(EXAMPLES_FILE), default_device(), _MAX_CELLS)
    names.save(request.path(NAMES_FILE))
    stems = (osp.splitext(osp.relpath(path, request.images))[0] for path in examples.paths)
    write_text(request.path(LIST), ''.join(f'{stem}\n' for stem in stems))
    return f'{counted(len(examples.paths), "image")} of {len(names.classes)} classes'


def make_example_maps(request: Request, stages: Stages) -> str:
    """Maps, overlays and confidences of every image, and the page, of many images of random ones."""
    checkpoint, names = request.path(EXAMPLES_FILE), request.path(NAMES_FILE)
    inferencer = UnsupInferencer(None, checkpoint, names, on_error=request.on_error)
    totals = predict_folder(inferencer, ImageNames.of(request.images), request.out, replace=True)
    if not totals.n_found:
        raise ValueError(f'none of the images in {printable(request.images)} can be read')
    found = make_gallery(model_config(None, checkpoint), checkpoint, request.images, request.path(GALLERY),
                         clusters=names, on_error=request.on_error, max_images=_MAX_SHOWN)
    stages.record['shares'] = found.survey.shares.tolist()
    return f'of {counted(totals.n_found, "image")}'


def rank_images(request: Request, examples: Examples) -> str:
    """Write which images to label next, and say the first ones."""
    confidence = load(request.path(RECORD))['confidence']
    labelled = {osp.relpath(path, request.images) for path in examples.paths}
    names = sorted(confidence.keys() - labelled, key=lambda name: (confidence[name], name))[:_MAX_CANDIDATES]
    cfg, model = load_segmentor(None, request.path(EXAMPLES_FILE), default_device())
    describe = Describer(model, Compose(whole_image_pipeline(cfg)))
    paths = [osp.join(request.images, name) for name in names]
    doubt = torch.tensor([confidence[name] for name in names])
    with track_progress('looking for images to label', len(paths) + len(examples.paths)) as advance:
        described = describe(paths, advance), describe(examples.paths, advance)
    chosen = [names[i] for i in rank_to_label(described[0], doubt, described[1], _N_NEXT)] if names else []
    write_json(request.path(NEXT), dict(images=[dict(image=name, confidence=confidence[name]) for name in chosen]))
    _tell(confidence, chosen)
    return counted(len(chosen), 'image')


class Describer:
    """Describes images by the mean of their cells' features of unit length, itself of unit length."""

    def __init__(self, model: ClusterSegmentor, pipeline: Compose) -> None:
        self.model, self.pipeline = model, pipeline

    def __call__(self, paths: List[str], advance) -> Tensor:
        """(N, C) of the images of these paths."""
        rows = [torch.zeros(0, self.model.decode_head.in_channels, device=self.model.data_preprocessor.device)]
        for path in paths:
            feats = features_of(self.model, self.pipeline, _LOAD(dict(img_path=path, seg_fields=[])))
            rows.append(F.normalize(F.normalize(feats, dim=0).mean((1, 2)), dim=0)[None])
            advance(1)
        return torch.cat(rows)


def _tell(confidence: Dict[str, float], chosen: List[str]) -> None:
    mean = sum(confidence.values()) / len(confidence)
    say(f'next: the model is {mean:.0%} sure on average; label first:')
    for name in chosen[:_N_TOLD]:
        say(f'  {confidence[name]:4.0%}  {printable(name)}')


def example_files(request: Request) -> List[Tuple[str, str]]:
    """Files to look at, and what they have."""
    return [(request.path(NEXT), 'images that would help most if they were labelled next'),
            (request.path(LIST), 'the labelled images, as the ann_file of a training'),
            (request.path(EXAMPLES_FILE), 'the model, which mmseg-unsup predict takes')]
