"""The stages of :func:`mmseg_unsup.segment_folder` that use labelled images."""
import os.path as osp
from typing import Iterator, List, Tuple

from mmengine.config import Config
from mmengine.fileio import load

from ..datasets.labelled_folder import image_stem
from ..engine.checkpoint_files import last_checkpoint
from ..structures import ClusterNames
from ..utils.atomic import write_text
from ..utils.console import counted, say
from ..utils.devices import default_device
from ..utils.memory import check_memory
from ..utils.paths import printable, shown
from .examples import EXAMPLES, AnyExamples, Examples, NamedExamples, learn_examples
from .gallery import make_gallery
from .image_names import ImageNames
from .inferencer import UnsupInferencer
from .label_next import NEXT, next_images, tell_next
from .loading import model_config
from .map_files import RECORD
from .model_files import EXAMPLES_FILE, NAMES_FILE
from .predicted_folder import predict_folder
from .segment_request import GALLERY, Request
from .segment_stages import Stages
from .wanted_labels import WantedLabels

LIST = 'examples.txt'
# cells that are remembered, least, of an image, most: more take as much longer, see configs/features/README.md
_LEAST_CELLS, _CELLS_OF_IMAGE, _MOST_CELLS = 5_000, 500, 20_000
_MAX_SHOWN = 100  # images that the page is made of, each of which takes another vote


def find_examples(request: Request, cfg: Config, paths: List[str]) -> AnyExamples:
    """The labelled images of a request, or its named clusters.

    Raises:
        FileNotFoundError, ValueError: see :class:`Examples` and :class:`NamedExamples`; a method whose features are of
            objects; names of clusters would be overwritten.
        MemoryError: what is remembered of them may not fit.
    """
    if request.finds_objects:
        raise ValueError(f'--examples needs features of every pixel, and {request.method} has those of objects: give '
                         'another --method')
    names = request.path(NAMES_FILE)
    if osp.isfile(names) and ClusterNames.load(names).cluster_set != EXAMPLES:
        raise ValueError(f'{printable(names)} has names of clusters, whose place the names of the classes would take: '
                         'move it, or use another --out')
    if request.examples.endswith('.json'):
        if request.classes is not None:
            raise ValueError(f'--classes {" ".join(request.classes)} are the names of what label maps show, and '
                             f'{printable(request.examples)} has names of its own: leave --classes out')
        examples = NamedExamples(request.examples, last_checkpoint(request.path('train')), paths)
    else:
        examples = Examples(request.images, paths, request.examples, request.classes)
    n_cells, n_channels = _n_cells(examples), cfg.model.decode_head.in_channels
    check_memory(f'a memory of {n_cells} cells of {n_channels} channels', 8. * n_cells * n_channels,
                 'give fewer examples, or a --config whose features have fewer channels')
    return examples


def learn(request: Request, examples: AnyExamples) -> str:
    """Write the model of the examples, the names of its classes, and a list of the labelled images for a training."""
    checkpoint = last_checkpoint(request.path('train'))
    names = learn_examples(checkpoint, examples, request.path(EXAMPLES_FILE), default_device(), _n_cells(examples))
    names.save(request.path(NAMES_FILE))
    if examples.paths:
        write_text(request.path(LIST), ''.join(f'{image_stem(path, request.images)}\n' for path in examples.paths))
    return str(examples)


def _n_cells(examples: AnyExamples) -> int:
    return min(max(_LEAST_CELLS, _CELLS_OF_IMAGE * examples.n_images), _MOST_CELLS, examples.n_pixels)


def make_example_maps(request: Request) -> str:
    """Maps, overlays and confidences of every image."""
    inferencer = UnsupInferencer(None, request.path(EXAMPLES_FILE), request.path(NAMES_FILE), on_error=request.on_error)
    totals = predict_folder(inferencer, ImageNames.of(request.images), request.out, replace=True)
    if not totals.n_found:
        raise ValueError(f'none of the images in {printable(request.images)} can be read')
    return counted(totals.n_found, 'image')


def make_example_page(request: Request, stages: Stages) -> str:
    """The page of the classes, with the images to label next; of many images, random ones."""
    checkpoint, names = request.path(EXAMPLES_FILE), request.path(NAMES_FILE)
    wanted = WantedLabels(load(request.path(RECORD))['confidence'], next_images(request.out), request.images,
                          request.out, ClusterNames.load(names).palette)
    found = make_gallery(model_config(None, checkpoint), checkpoint, request.images, request.path(GALLERY),
                         clusters=names, on_error=request.on_error, max_images=_MAX_SHOWN, wanted=wanted)
    stages.record['shares'] = found.survey.shares.tolist()
    return counted(len(found.paths) - len(found.unreadable), 'image')


def tell_examples(request: Request) -> None:
    """How sure the model is, which images to label next, and the files to look at."""
    tell_next(request.out)
    for path, content in _files(request):
        say(f'{shown(path)}: {content}')


def _files(request: Request) -> Iterator[Tuple[str, str]]:
    yield request.path(NEXT), 'all of these, the most useful first'
    if osp.isfile(request.path(LIST)):
        yield request.path(LIST), 'the labelled images, as the ann_file of a training'
    yield request.path(EXAMPLES_FILE), 'the model, which mmseg-unsup predict takes'
