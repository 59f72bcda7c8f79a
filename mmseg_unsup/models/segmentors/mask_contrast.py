"""MaskContrast: pixels of an object agree with its mean in another view, and differ from those of other objects."""
from typing import Dict, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.model import ExponentialMovingAverage
from torch import Tensor, nn

from ...functional import object_means, object_rows, resize_ids, sample_object_rows
from ...registry import MODELS
from ...utils.whole_batch import gather_rows
from ..prototype_queue import PrototypeQueue
from .object_segmentor import ObjectSegmentor

Anchor = Union[str, int, Tuple[str, int]]


class _Branch(nn.Module):
    """Backbone, neck and head as one network: what the key branch averages."""

    def __init__(self, backbone: nn.Module, neck: Optional[nn.Module], decode_head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck, self.decode_head = backbone, neck, decode_head

    def forward(self, images: Tensor) -> Tuple[Tensor, Tensor]:
        feats = self.backbone(images)
        return self.decode_head(feats if self.neck is None else self.neck(feats))


@MODELS.register_module()
class MaskContrast(ObjectSegmentor):
    """Contrasts the object pixels of a *query* view with prototypes, means of an object over a *key* view.

    The prototype of the anchor's own object is the positive; those of the other objects of the batch, and of past
    batches in a queue, are negatives. Background takes no part. Beside it the head learns the masks (saliency).

    The key branch is the moving average of backbone, neck and head. It gets no gradient, normalises by its own batch,
    and :class:`mmseg_unsup.TeacherHook` moves it after every optimiser step. Batches are not shuffled for its
    batch norm: with ``SyncBN``, which all shipped configs use, all images of all ranks share the statistics, so they
    tell nothing about which image is whose. On one process there is nothing to shuffle either.

    Every nonzero id of a mask is an object of its own; :class:`mmseg_unsup.LoadMask` decides whether that is one an
    image, as in the paper, or several. An object that is missing in one of the views takes no part.

    Args:
        queue_length: K, prototypes of past iterations; any number, 0 for none. The paper holds two global batches.
        momentum: share of the new weights in the average after a step; 0.001 is m = 0.999 of the paper.
        anchor: which pixels are anchors. ``'stride'`` is all cells of the feature map whose centre lies in an object;
            ``'full'`` all pixels of the input, with embeddings brought there bilinearly, as released; a number, or
            ``('sample', number)``, so many random object pixels an image, with the bilinear embedding there.
        cross_rank_negatives: prototypes of the other ranks' objects are negatives too. As released they only reach the
            queue.
        loss_contrast, loss_saliency: configs of the two losses.
        test_cfg: see :class:`ObjectSegmentor`.

    Attributes:
        key_branch (ExponentialMovingAverage): in the checkpoint.
        queue (PrototypeQueue): in the checkpoint.

    Raises:
        ValueError: a bad option.

    Source: arXiv 2102.06191, section 3. Differences from the released code: the anchors (``anchor='full'`` repeats
    it), and what is undefined there: batches of one, empty masks, any queue length.
    """

    def __init__(self,
                 *args,
                 queue_length: int = 256,
                 momentum: float = 0.001,
                 anchor: Anchor = 'stride',
                 cross_rank_negatives: bool = False,
                 loss_contrast: dict = dict(type='mmseg_unsup.MaskNCELoss', temperature=0.5),
                 loss_saliency: dict = dict(type='mmseg_unsup.BalancedBCELoss'),
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not 0 < momentum < 1:
            raise ValueError(f'momentum, the share of the new weights, must lie between 0 and 1, but it is {momentum}')
        self.anchor, self.cross_rank_negatives = _parse_anchor(anchor), cross_rank_negatives
        self.queue = PrototypeQueue(queue_length, self.decode_head.embedding_channels)
        self.loss_contrast, self.loss_saliency = MODELS.build(loss_contrast), MODELS.build(loss_saliency)
        self.key_branch = ExponentialMovingAverage(self._query_branch(), momentum=momentum)

    def init_weights(self) -> None:
        super().init_weights()
        self.key_branch.module.load_state_dict(self._query_branch().state_dict())

    def start(self, is_new: bool) -> None:
        """Make the key branch a copy of the present weights, unless a checkpoint brought one."""
        if self.key_branch.steps == 0:
            self.key_branch.module.load_state_dict(self._query_branch().state_dict())
            self.key_branch.steps += 1
        super().start(is_new)

    @torch.no_grad()
    def follow(self, steps_per_epoch: float = 0.) -> None:
        """Take one step of the moving average, with the buffers of the query branch as they are."""
        # mmengine's own asks the device for the number of steps, and launches a kernel for every tensor
        average, query = self.key_branch.module, self._query_branch()
        torch._foreach_lerp_([*average.parameters()], [*query.parameters()], self.key_branch.momentum)
        for own, source in zip(average.buffers(), query.buffers()):
            own.copy_(source)
        self.key_branch.steps += 1

    def check_ready(self) -> None:
        self.check_started()

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_contrast`` and ``loss_saliency`` of a batch of query and key views, and what the log shows beside:
        ``acc_contrast``, per cent of the anchors nearest to their own prototype, and ``foreground``, the share of
        object pixels in the query views.

        Args:
            inputs: query and key views, (N, 3, H, W) each.
            data_samples: N of them with ``view_masks``, (2, H, W) uint8 object ids of the two views.
        """
        query, key = inputs
        masks = torch.stack([sample.view_masks.data for sample in data_samples])
        embeddings, saliency = self._query_branch()(query)
        with torch.no_grad():
            key_embeddings, _ = self.key_branch(key)
        return self.map_losses(embeddings, saliency, key_embeddings, masks)

    def map_losses(self, embeddings: Tensor, saliency: Tensor, key_embeddings: Tensor,
                   masks: Tensor) -> Dict[str, Tensor]:
        """What :meth:`loss` gives, from the maps of the two branches; fills the queue.

        Args:
            embeddings: (N, D, h, w) of the query views.
            saliency: (N, 1, h, w) logits of the query views.
            key_embeddings: (N, D, h, w) of the key views.
            masks: (N, 2, H, W) object ids.
        """
        contrast = self._contrast(embeddings, key_embeddings, masks)
        saliency = F.interpolate(saliency.float(), masks.shape[-2:], mode='bilinear', align_corners=self.align_corners)
        return dict(
            loss_contrast=contrast['loss'],
            loss_saliency=self.loss_saliency(saliency[:, 0], masks[:, 0]),
            acc_contrast=contrast['accuracy'],
            foreground=(masks[:, 0] != 0).float().mean())

    def _query_branch(self) -> _Branch:
        return _Branch(self.backbone, self.neck if self.with_neck else None, self.decode_head)

    def _contrast(self, query: Tensor, key: Tensor, masks: Tensor) -> Dict[str, Tensor]:
        """Two (N, D, h, w) maps, (N, 2, H, W) ids of their objects -> ``loss`` and ``accuracy``; fills the queue."""
        n_objects = max(1, int(masks.max()))
        anchors, objects = self._anchors(query, masks[:, 0], n_objects)
        prototypes, present = self._prototypes(key, masks[:, 1], n_objects)
        # the host waits for every size that it does not know: once for each
        kept, there = torch.nonzero(present[objects])[:, 0], torch.nonzero(present)[:, 0]
        anchors, objects = anchors[kept], (present.cumsum(0) - 1)[objects[kept]]
        prototypes, images = prototypes[there], there // n_objects
        gathered, own = gather_rows(prototypes, images)
        negatives = self.queue.prototypes.clone()  # it changes before the backward pass
        if self.cross_rank_negatives:
            negatives = torch.cat([gathered[~own], negatives])
        self.queue.enqueue(gathered)
        return self.loss_contrast(anchors, objects, prototypes, negatives)

    def _anchors(self, query: Tensor, ids: Tensor, n_objects: int) -> Tuple[Tensor, Tensor]:
        if isinstance(self.anchor, int):
            return sample_object_rows(query, ids, n_objects, self.anchor)
        return object_rows(*self._on_anchor_grid(query, ids), n_objects)

    @torch.no_grad()
    def _prototypes(self, key: Tensor, ids: Tensor, n_objects: int) -> Tuple[Tensor, Tensor]:
        return object_means(*self._on_anchor_grid(key, ids), n_objects)

    def _on_anchor_grid(self, feats: Tensor, ids: Tensor) -> Tuple[Tensor, Tensor]:
        """Bring the embeddings to the ids, or the ids to the embeddings."""
        if self.anchor == 'full':
            size = ids.shape[-2:]
            return F.interpolate(feats.float(), size, mode='bilinear', align_corners=self.align_corners), ids
        return feats, resize_ids(ids, feats.shape[-2:])


def _parse_anchor(anchor: Anchor) -> Union[str, int]:
    """``'stride'``, ``'full'``, or the number of samples."""
    if isinstance(anchor, (tuple, list)) and len(anchor) == 2 and anchor[0] == 'sample':
        anchor = anchor[1]
    is_count = isinstance(anchor, int) and not isinstance(anchor, bool) and anchor > 0
    if anchor not in ('stride', 'full') and not is_count:
        raise ValueError(f"anchor={anchor!r} is neither 'stride' nor 'full' nor a positive number of pixels an image")
    return anchor
