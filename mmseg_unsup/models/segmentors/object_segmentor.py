"""Predicting with objects: where they are, what describes them, and which cluster they belong to."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from torch import Tensor

from ...datasets.object_masks import ObjectMasks
from ...datasets.transforms.geometric import resize_labels
from ...functional import class_map, connected_segments, describe_segments, resize_ids
from ...registry import PRIORS
from ...utils.console import say
from ..clusters import ClusterSets, DescriptorClusters
from .cluster_segmentor import Assignments, ClusterSegmentor, ForwardMaps

OBJECTS, POOLS, DESCRIPTORS = ('image', 'components'), ('logit', 'mean'), ('embedding', 'backbone')
TEST_CFG = dict(
    mode='whole', objects='image', pool='logit', descriptor='embedding', min_area=0.01, prior=None, masks=None,
    crf=None, refine=None)


class Read(NamedTuple):
    """What a pass of the network gives."""
    feats: Dict[str, Tensor]  # (N, C, h, w) by name
    scores: List[Tensor]  # per image (1 + S, h', w') of background and objects, the largest wins
    ids: Tensor  # (N, h, w) int64, 0 is background, s is object s


class ObjectSegmentor(ClusterSegmentor):
    """Backbone and an :class:`mmseg_unsup.EmbeddingHead`; predicts the cluster of every object.

    A prediction has ``pred_sem_seg`` (0 outside objects; inside, 1 to K if :class:`mmseg_unsup.ObjectClusteringHook`
    has fitted clusters, else 1), ``object_map`` (H, W) with the ids of the objects, and ``object_descriptors`` (S, D)
    of unit length.

    Args:
        test_cfg: ``objects``: ``'image'``, everything salient in an image is one object, as published, or
            ``'components'``, connected components from ``min_area`` on, a share of the image. ``pool``: a descriptor is
            the sum over its object's cells of ``'logit'``, embeddings times their saliency logit, as published, or
            ``'mean'``, embeddings of unit length. ``descriptor``: ``'embedding'``, or ``'backbone'``, the features
            below the head, which a network that was never trained has too (with ``'mean'``). ``prior``: config of a
            prior of :mod:`mmseg_unsup.priors` whose masks take the place of the predicted saliency (with ``'mean'``).
            ``masks``: dict of ``data_root`` and ``mask_root``: an image below the first keeps the mask that it has in
            the second; the predicted saliency is for the others (with ``'mean'``), see :class:`ObjectMasks`. ``crf``,
            ``refine``: see :class:`ClusterSegmentor`.

    Attributes:
        object_clusters (ClusterSets): the set ``objects``, :class:`DescriptorClusters`, in checkpoints.

    Raises:
        ValueError: unknown keys or values in ``test_cfg``, or such that do not go together.
    """

    background_cluster = 0
    test_settings = tuple(TEST_CFG)

    def __init__(self, *args, test_cfg: Optional[dict] = None, **kwargs) -> None:
        settings = dict(TEST_CFG, **(test_cfg or {}))
        check_test_cfg(settings)
        super().__init__(*args, test_cfg=ConfigDict(settings), **kwargs)
        self.object_clusters = ClusterSets(dict(objects=DescriptorClusters()))
        self.prior = None if self.test_cfg.prior is None else PRIORS.build(self.test_cfg.prior)
        self.masks = None if self.test_cfg.masks is None else ObjectMasks(
            **self.test_cfg.masks, objects=self.test_cfg.objects, min_area=self.test_cfg.min_area)
        self._has_told = False

    @property
    def clusters(self) -> ClusterSets:
        return self.object_clusters

    @property
    def n_predicted(self) -> int:
        return 1 + super().n_predicted

    def cluster_tensors(self) -> List[Tensor]:
        """Of the background too: what is salient."""
        return [self.decode_head.saliency.weight, *self.clusters['objects'].tensors()]

    def cluster_objects(self, descriptors: Tensor) -> Tensor:
        """(S, D) -> (S,) int64 clusters from 0 on; all 0 before there are any."""
        clusters = self.clusters['objects']
        if not clusters.is_fitted:
            return torch.zeros_like(descriptors[:, 0], dtype=torch.long)  # exporters take len() for a constant
        if descriptors.size(1) != clusters.weight.size(1):
            raise ValueError(f'the clusters of the checkpoint are of descriptors with {clusters.weight.size(1)} '
                             f'channels, but model.test_cfg.descriptor={self.test_cfg.descriptor!r} has '
                             f'{descriptors.size(1)}: set default_hooks.object_clustering.refit_on_test=True')
        return clusters(descriptors).argmax(1)

    def cluster_scores(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> Tensor:
        """The background has 0, the cluster of an object the saliency logit above the threshold, of the other clusters
        none is above 0. Objects of one cluster that touch have no gap between them here.

        Args:
            metas: of the images, for ``test_cfg.masks``; without them the network finds the objects.
        """
        if self.test_cfg.objects == 'image' and self.prior is None and (self.masks is None or metas is None):
            return self._image_scores(*self._read_maps(inputs))
        read = self._read(inputs, metas)
        of_images = []
        for scores, descriptors in zip(read.scores, self._descriptors(read)):
            of_image = scores.amin(0).repeat(self.n_predicted, 1, 1)
            for k, of_object in zip([0, *(1 + self.cluster_objects(descriptors)).tolist()], scores):
                of_image[k] = torch.maximum(of_image[k], of_object)
            of_images.append(of_image)
        return torch.stack(of_images)

    def _image_scores(self, feats: Dict[str, Tensor], margin: Tensor) -> Tensor:
        """The same where an image has one object at most, without a loop over images: exporters can follow it."""
        salient = (margin > 0).to(margin)
        sums = (feats[self.test_cfg.descriptor] * salient[:, None]).sum((2, 3))
        clusters = 1 + self.cluster_objects(F.normalize(sums, dim=1))
        ids = torch.arange(self.n_predicted, device=margin.device)
        own = (ids == clusters[:, None])[..., None, None]
        scores = torch.where(own, margin[:, None], margin[:, None].clamp(max=0))
        return scores * (ids > 0)[:, None, None]

    @torch.no_grad()
    def assignments(self, inputs: Tensor, img_meta: dict, image: Optional[np.ndarray] = None) -> Assignments:
        """Of objects; the background, cluster 0, has none."""
        read = self._read(inputs, [img_meta])
        descriptors, ids = self._descriptors(read)[0], read.ids[0]
        members = 1 + self.cluster_objects(descriptors)
        if self.refine_settings is not None and image is not None:
            shown = self.winners(self.cluster_scores(inputs, [img_meta])[0], img_meta, image)[0]
        else:
            shown = F.pad(members, (1, 0))[class_map(read.scores[0], img_meta, self.align_corners).long()].short()
        seen = [s for s in range(len(descriptors)) if (ids == 1 + s).any()]  # others lie between the cells
        boxes = [_box(ids == 1 + s) for s in seen]
        return Assignments(shown, descriptors[seen], members[seen], torch.tensor(boxes).reshape(-1, 4))

    @property
    def feature_parts(self) -> Tuple[str, ...]:
        return (*super().feature_parts, 'decode_head.')

    @property
    def probe_channels(self) -> Dict[str, int]:
        head = self.decode_head
        return dict(trunk=head.channels, embedding=head.embedding_channels, backbone=head.in_channels)

    def forward_maps(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> ForwardMaps:
        """``trunk``, the 256 channels below both outputs; what descriptors are the sum of, ``embedding`` and
        ``backbone``. Segments are objects."""
        return self._maps(self._read(inputs, metas))

    def _maps(self, read: Read) -> ForwardMaps:
        return ForwardMaps(read.feats, lambda: read.ids - 1, lambda: self._descriptors(read))

    def predict(self, inputs: Tensor, data_samples: Optional[list] = None) -> list:
        """See the class; fitted probes predict beside, from the same pass."""
        read, identity = self._read(inputs, [sample.metainfo for sample in data_samples]), self.cluster_identity()
        for sample, image, scores, descriptors in zip(data_samples, inputs, read.scores, self._descriptors(read)):
            objects = class_map(scores, sample.metainfo, self.align_corners)
            clusters = F.pad(1 + self.cluster_objects(descriptors), (1, 0))  # of background and objects
            prediction = PixelData(data=clusters[objects.long()][None])
            sample.set_data(dict(pred_sem_seg=prediction, pred_sem_seg_objects=prediction,
                                 object_map=PixelData(data=objects[None])))
            for crf in self.crfs.values():
                refined = class_map(self._refine(crf, image, scores), sample.metainfo, self.align_corners)
                sample.set_data(dict(pred_sem_seg_objects_crf=PixelData(data=clusters[refined.long()][None])))
            sample.object_descriptors = descriptors
            sample.set_metainfo(dict(n_clusters=self.n_predicted, cluster_identity=identity))
        if self.probes:
            self.predict_probes(self._maps(read), inputs, data_samples)
        return data_samples

    def _read(self, inputs: Tensor, metas: Optional[Sequence[dict]] = None) -> Read:
        feats, margin = self._read_maps(inputs)
        given = self._given_ids(inputs, metas)
        ids = self._separate(margin > 0)
        scores = [_scores(*of_image) for of_image in zip(margin, ids)]
        if any(of_image is not None for of_image in given):  # they are as large as the inputs
            scores = [F.interpolate(of_image[None], inputs.shape[2:], mode='bilinear',
                                    align_corners=self.align_corners)[0] for of_image in scores]
        for i, of_image in enumerate(given):
            if of_image is not None:
                mask = torch.from_numpy(of_image).to(inputs.device).long()
                scores[i] = F.one_hot(mask).permute(2, 0, 1).float()
                ids[i] = resize_ids(mask[None], margin.shape[1:])[0]
        return Read(feats, scores, ids)

    def _given_ids(self, inputs: Tensor, metas: Optional[Sequence[dict]]) -> List[Optional[np.ndarray]]:
        """Per image (H, W) uint8 ids of objects that the network need not find, None where it must."""
        if self.prior is not None:
            return [self._prior_ids(image) for image in inputs]
        if self.masks is None or metas is None:
            return [None] * len(inputs)
        given = [self.masks.object_ids(meta.get('img_path'), meta['ori_shape'][:2]) for meta in metas]
        self._tell([meta.get('img_path') for meta, ids in zip(metas, given) if ids is None])
        return [None if ids is None else resize_labels(ids, inputs.shape[2:]) for ids in given]

    def _tell(self, paths: Sequence[Optional[str]]) -> None:
        """Say once that the network finds objects of its own."""
        if paths and not self._has_told:
            say(f'{paths[0] or "an image"} has no usable mask below {self.masks.mask_root}: its objects, and those of '
                'all others without one, are what the network takes for salient')
            self._has_told = True

    def _read_maps(self, inputs: Tensor) -> Tuple[Dict[str, Tensor], Tensor]:
        """-> feature maps (N, C, h, w) by name, and (N, h, w) saliency logits above the threshold."""
        head = self.decode_head
        with self.no_grad_precision():
            outputs = self.extract_feat(inputs)
            trunk = head.trunk(outputs)
            embedding, saliency = head.embedding(trunk).float(), head.saliency(trunk).float()
        backbone = outputs[head.in_index].float()
        if self.test_cfg.pool == 'logit':
            embedding, backbone = embedding * saliency, backbone * saliency
        else:
            embedding, backbone = F.normalize(embedding, dim=1), F.normalize(backbone, dim=1)
        feats = dict(trunk=trunk.float(), embedding=embedding, backbone=backbone)
        return feats, saliency[:, 0] - head.saliency_threshold

    def _descriptors(self, read: Read) -> List[Tensor]:
        """Per image (S, D); an object that lies between the cells of the feature map has the zero vector."""
        feats = read.feats[self.test_cfg.descriptor]
        return [describe_segments(of_image, ids - 1, len(scores) - 1)[0]
                for of_image, ids, scores in zip(feats, read.ids, read.scores)]

    def _separate(self, salient: Tensor) -> Tensor:
        """(N, h, w) bool -> int64 ids of the objects."""
        if self.test_cfg.objects == 'image':
            return salient.long()
        ids = 1 + connected_segments(salient.long() - 1)
        for of_image in ids:
            areas = of_image.flatten().bincount()
            large = areas >= self.test_cfg.min_area * of_image.numel()
            large[0] = False
            of_image.copy_((large.cumsum(0) * large)[of_image])
        return ids

    def _prior_ids(self, image: Tensor) -> np.ndarray:
        """(3, H, W) normalised image -> (H, W) uint8 ids of the prior's objects."""
        mask = self.prior(self.rgb_image(image))
        if self.test_cfg.objects == 'image':
            return (mask > 0).astype(np.uint8)
        if mask.max(initial=0) < 255:  # the prior tells regions apart itself
            return mask
        return cv2.connectedComponents((mask > 0).astype(np.uint8))[1].astype(np.uint8)


def _scores(margin: Tensor, ids: Tensor) -> Tensor:
    """(h, w) logits above the threshold, (h, w) ids -> (1 + S, h, w).

    Enlarged bilinearly, a single object is where the enlarged logit exceeds the threshold; several compete.
    """
    objects = torch.arange(1, int(ids.max()) + 1, device=ids.device)[:, None, None]
    own = torch.where((ids == objects) | (margin <= 0), margin, -margin)
    return torch.cat([torch.zeros_like(margin)[None], own])


def _box(mask: Tensor) -> Tuple[float, float, float, float]:
    """x1, y1, x2, y2 of an (h, w) bool mask that is not empty, in fractions of it."""
    (top, left), (bottom, right) = (extreme.tolist() for extreme in torch.nonzero(mask).aminmax(dim=0))
    height, width = mask.shape
    return left / width, top / height, (right + 1) / width, (bottom + 1) / height


def check_test_cfg(settings: dict) -> None:
    """Raise ValueError unless these are settings of :class:`ObjectSegmentor`."""
    for key, allowed in (('mode', ('whole', )), ('objects', OBJECTS), ('pool', POOLS), ('descriptor', DESCRIPTORS)):
        if settings[key] not in allowed:
            raise ValueError(f'model.test_cfg.{key}={settings[key]!r} is not one of {allowed}')
    if not 0 <= settings['min_area'] < 1:
        raise ValueError(f'model.test_cfg.min_area is a share of the image in [0, 1), but it is {settings["min_area"]}')
    for key, default in (('prior', None), ('masks', None), ('descriptor', 'embedding')):
        if settings[key] != default and settings['pool'] != 'mean':
            raise ValueError(f'model.test_cfg.{key}={settings[key]!r} goes with pool=\'mean\': the saliency that would '
                             'weigh the cells was not trained for it')
    masks = settings['masks']
    if masks is not None and set(masks) != {'data_root', 'mask_root'}:
        raise ValueError(f'model.test_cfg.masks is None or a dict of data_root and mask_root, but it is {masks}')
    if settings['prior'] is not None and masks is not None:
        raise ValueError('model.test_cfg.prior and model.test_cfg.masks both say where the objects are: set one to '
                         'None')
