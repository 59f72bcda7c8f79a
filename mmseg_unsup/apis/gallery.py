"""A page that shows what the clusters of a checkpoint are, on which they are named and merged."""
import base64
import os.path as osp
from collections import defaultdict
from contextlib import nullcontext
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose

from ..datasets.errors import UnreadableImageError, check_on_error
from ..datasets.image_files import check_folder, find_images
from ..datasets.label_folder import LabelFolder
from ..datasets.pictures import read_rgb
from ..datasets.transforms.loading import LoadImage
from ..evaluation.functional.cluster_survey import ClusterSurvey, nearest_clusters
from ..structures import ClusterNames
from ..utils.devices import default_device
from ..utils.paths import path_remedy, printable
from ..utils.progress import track_progress
from ..utils.random import keyed_generator
from ..utils.whole_images import whole_image_pipeline
from ..visualization import cluster_palette
from ..visualization.gallery_pictures import cut_place, encode_jpeg, fit_jpegs, fitted_size, pack_ids, shrunk
from ..visualization.html import as_json, render_page, write_page
from .gallery_text import Matching, facts, foreground, label_rows, label_scores, matching_of, page_title, provenance
from .image_input import check_fits
from .image_names import ImageNames
from .loading import batch_of_one, load_segmentor
from .map_files import MapFolder, check_map_folder, map_settings
from .picture_model import image_bytes
from .wanted_labels import WantedLabels

# Pixels of a side: of a place, and of images by the number of clusters that they stand for.
PLACE_SIDE, IMAGE_SIDES = 112, ((100, 320), (float('inf'), 240))
# Bytes of all JPEGs of a page; in base64 they take a third more.
MAX_JPEG_BYTES = 16 * 10**6
N_SAMPLES, N_NEAREST = 8, 3
_LOAD = LoadImage()


class SurveyedFolder(NamedTuple):
    """What one pass over a folder leaves."""
    survey: ClusterSurvey
    paths: Sequence[str]  # of all images, by number
    ids: Dict[int, bytes]  # of the typical images, packed
    sizes: Dict[int, tuple]  # (height, width) of the same
    unreadable: List[str]


def make_gallery(cfg: Config,
                 checkpoint: str,
                 images: str,
                 out: str,
                 labels: Optional[str] = None,
                 classes: Optional[Sequence[str]] = None,
                 clusters: Optional[str] = None,
                 matching: Optional[Matching] = None,
                 on_error: str = 'raise',
                 max_images: Optional[int] = None,
                 n_places: int = 6,
                 n_images: int = 4,
                 maps: Optional[str] = None,
                 mask_share: Optional[float] = None,
                 wanted: Optional[WantedLabels] = None) -> SurveyedFolder:
    """Write the page of a checkpoint on a folder of images.

    Every image is seen once by the network, whole, at the size of the config's evaluation; its clusters are those that
    ``pred_sem_seg`` shows.

    Args:
        out: the HTML file; it appears whole, at the end.
        labels: folder of label maps; the page then has scores. The config's test data set says how to read them.
        classes: see :class:`LabelFolder`.
        clusters: a ``clusters.json`` to start from.
        matching: of clusters to classes; None for that of the config's evaluation.
        on_error: ``'skip'`` leaves out images that cannot be read, ``'raise'`` stops.
        max_images: so many of the images, drawn at random, always the same; all by default.
        n_places, n_images: per cluster.
        maps: folder that gets what :func:`mmseg_unsup.apis.predicted_folder.predict_folder` writes, of the images that
            are looked at; none by default.
        mask_share: foreground of the masks that a model of objects was trained on; the page sets it beside its own.
        wanted: how sure a model of examples is, and which images to label next.

    Raises:
        FileNotFoundError, KeyError, ValueError: an input that cannot be used; nothing is written then.
        MemoryError: an image needs more memory than there is; nothing is written then.
    """
    _check(out, images, on_error, maps)
    all_images = ImageNames(find_images(images), images)
    paths = chosen_paths(all_images.paths, max_images)
    reference = None if labels is None else LabelFolder(cfg.test_dataloader.dataset, paths, images, labels, classes)
    given = None if clusters is None else ClusterNames.load(clusters)
    _, model = load_segmentor(cfg, checkpoint, default_device())
    names = given or ClusterNames.identity(*model.cluster_identity(), model.background_cluster)
    names.check(*model.cluster_identity())
    side = next(side for limit, side in IMAGE_SIDES if names.n_clusters <= limit)
    pipeline = whole_image_pipeline(cfg)
    folder = None if maps is None else MapFolder(maps, all_images, names, model.background_cluster,
                                                 map_settings(model, pipeline), replace=True,
                                                 refine=model.refine_settings)
    with folder or nullcontext():
        found = survey_images(model, Compose(pipeline), paths, reference, side, on_error, n_places, n_images, folder)
    if folder is not None:
        folder.finish()
    scores = None if reference is None else label_scores(found.survey.confusion, matching or matching_of(cfg))
    of_all = f', {len(paths)} of {len(all_images)}, drawn at random' if len(paths) < len(all_images) else ''
    place = 'patch' if model.background_cluster is None else 'object'
    page = dict(
        title=page_title(cfg, checkpoint),
        kinds='clusters' if wanted is None else 'classes',
        facts=[*_facts(found, scores, wanted), *foreground(found.survey.shares, model.background_cluster, mask_share)],
        wanted=wanted and wanted.rows,
        place_name='patches' if place == 'patch' else 'objects',
        direction_name='mean' if model.cluster_centers is None else 'prototype',
        labels=scores and label_rows(scores, reference),
        provenance=provenance(cfg, checkpoint, images + of_all, labels, names, found.unreadable,
                              model.refine_settings))
    data = dict(
        names=names.to_dict(), palette=cluster_palette(names.n_clusters).tolist(), background=model.background_cluster,
        place_name=place, labels=scores and dict(
            names=reference.classes, colors=reference.palette.tolist(), confusion=scores['confusion'].tolist()),
        **pictures(found, side, images))
    write_page(out, render_page('gallery', page=page, data=as_json(data)))
    return found


def _facts(found: SurveyedFolder, scores: Optional[Dict], wanted: Optional[WantedLabels]) -> List[tuple]:
    """The numbers at the top of the page, but for the foreground."""
    n_unreadable = len(found.unreadable)
    lines = facts(found.survey.shares, len(found.paths) - n_unreadable, n_unreadable, scores, wanted is None)
    return lines if wanted is None else [*lines, *wanted.facts]


def check_page(out: str) -> None:
    """Raise ValueError unless ``out`` can become an HTML file."""
    if not out.endswith(('.html', '.htm')) or osp.isdir(out):
        raise ValueError(f'the page {out!r} must be a file whose name ends in .html')


def chosen_paths(paths: Sequence[str], max_images: Optional[int]) -> Sequence[str]:
    """All paths, or ``max_images`` random ones of them, in their order."""
    if max_images is None or max_images >= len(paths):
        return paths
    if max_images < 1:
        raise ValueError(f'max_images must be None or at least 1, but it is {max_images}')
    return [paths[i] for i in sorted(keyed_generator(0).choice(len(paths), max_images, replace=False))]


def _check(out: str, images: str, on_error: str, maps: Optional[str]) -> None:
    """Raise for what cannot be read or written, before models are loaded."""
    check_page(out)
    check_on_error(on_error)
    check_folder(images, path_remedy(images, osp.isdir))
    if maps is not None:
        check_map_folder(maps, images)


@torch.no_grad()
def survey_images(model: torch.nn.Module,
                  pipeline: Compose,
                  paths: Sequence[str],
                  reference: Optional[LabelFolder],
                  side: int,
                  on_error: str = 'raise',
                  n_places: int = 6,
                  n_images: int = 4,
                  maps: Optional[MapFolder] = None) -> SurveyedFolder:
    """One pass over images; memory is bounded by the largest image and the number of clusters.

    Args:
        pipeline: what shows the network a decoded image.
        reference: of their labels; None without.
        side: of the packed ids, the longer one.
        maps: where those that are missing are written; None for none.
    """
    for path in paths:
        check_fits(path, lambda shape: image_bytes(model, shape))
    n_clusters = model.cluster_identity()[1]
    centers = None if model.cluster_centers is None else model.cluster_centers.cpu().numpy()
    survey = ClusterSurvey(n_clusters, centers, reference and len(reference.classes), n_places, n_images,
                           reference.ignore_index if reference else 255)
    found = SurveyedFolder(survey, paths, {}, {}, [])
    with track_progress('looking at images', len(paths)) as advance:
        for i, path in enumerate(paths):
            try:
                image, clusters = _look_at(model, pipeline, found, i, reference, side)
            except UnreadableImageError:
                if on_error == 'raise':
                    raise
                found.unreadable.append(path)
                if maps is not None:
                    maps.skip(path, path)
            else:
                if maps is not None:
                    maps.add_clusters(path, image, clusters)
            advance(1)
    if len(found.unreadable) == len(paths):
        raise ValueError(f'none of the {len(paths)} images can be read, for example {paths[0]}')
    if reference and not survey.confusion.any():
        raise ValueError(f'none of the {len(paths)} images has a labelled pixel: check the label folder')
    return found


def _look_at(model: torch.nn.Module, pipeline: Compose, found: SurveyedFolder, i: int,
             reference: Optional[LabelFolder], side: int) -> Tuple[np.ndarray, np.ndarray]:
    """The image in RGB and its clusters."""
    loaded = _LOAD(dict(img_path=found.paths[i], seg_fields=[]))
    image = np.ascontiguousarray(loaded['img'][..., ::-1])
    packed = pipeline(loaded)
    shape = packed['data_samples'].ori_shape[:2]
    labels = reference and reference.read(found.paths[i], shape)
    batch = batch_of_one(model, packed)
    read = model.assignments(batch['inputs'], batch['data_samples'][0].metainfo, image)
    clusters, feats, members, boxes = (tensor.cpu().numpy() for tensor in read)
    found.survey.add(i, clusters, feats, members, boxes, labels)
    held = found.survey.held_images()
    if i in held:
        found.ids[i], found.sizes[i] = pack_ids(clusters, side, found.survey.n_clusters), fitted_size(shape, side)
    for gone in found.ids.keys() - held:
        del found.ids[gone], found.sizes[gone]
    return image, clusters


def pictures(found: SurveyedFolder, side: int, root: str) -> Dict:
    """``clusters``, ``images`` and ``samples`` of the page: every image that it shows is read once more."""
    survey = found.survey
    ks = range(survey.n_clusters)
    places, typical = [survey.places(k) for k in ks], [survey.images(k) for k in ks]
    number = {i: n for n, i in enumerate(sorted(found.ids))}  # on the page
    shown = {*found.ids, *(p.image for of_k in places for p in of_k)}
    names = {i: printable(osp.relpath(found.paths[i], root)) for i in shown}
    jpegs = fit_jpegs(_jpegs(found, places, side), MAX_JPEG_BYTES)
    similarities = survey.similarities()
    clusters = [
        dict(
            share=float(survey.shares[k]),
            places=[dict(image=names[p.image], similarity=round(p.similarity, 4), jpeg=_base64(jpegs[k, rank]))
                    for rank, p in enumerate(places[k])],
            images=[dict(image=number[t.image], share=float(t.share)) for t in typical[k]],
            nearest=[dict(cluster=other, similarity=round(value, 4))
                     for other, value in nearest_clusters(similarities, k, N_NEAREST)]) for k in ks
    ]
    images = [dict(name=names[i], height=found.sizes[i][0], width=found.sizes[i][1], jpeg=_base64(jpegs[i]),
                   ids=_base64(found.ids[i])) for i in number]
    samples = np.linspace(0, len(images) - 1, min(N_SAMPLES, len(images))).round().astype(int).tolist()
    return dict(clusters=clusters, images=images, samples=samples)


def _jpegs(found: SurveyedFolder, places: Sequence, side: int) -> Dict[object, bytes]:
    """JPEGs by image, and by cluster and rank of its places."""
    wanted = defaultdict(list)  # image -> its places
    for k, of_cluster in enumerate(places):
        for rank, place in enumerate(of_cluster):
            wanted[place.image].append((k, rank, place.box))
    jpegs = {}
    needed = sorted({*wanted, *found.ids})
    with track_progress('drawing', len(needed)) as advance:
        for i in needed:
            picture = read_rgb(found.paths[i])
            if i in found.ids:
                jpegs[i] = encode_jpeg(shrunk(picture, side))
            for k, rank, box in wanted[i]:
                jpegs[k, rank] = encode_jpeg(cut_place(picture, box, PLACE_SIDE))
            advance(1)
    return jpegs


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
