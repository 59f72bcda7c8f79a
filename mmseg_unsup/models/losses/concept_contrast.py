"""Contrast of concepts: cells agree with those of like codes, and differ from those of other codes.

Letters: N images, P cells, D channels, K codes, T targets.
"""
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


class Relations(NamedTuple):
    """Which codes are alike and which differ; a pair may be neither."""
    positive: Tensor  # (K, K) bool
    negative: Tensor  # (K, K) bool


def code_relations(codes: Tensor, positive: float, negative: float) -> Relations:
    """(K, C) codes are alike if their cosine is above ``positive``, and differ if it is below ``negative``."""
    with torch.autocast(codes.device.type, enabled=False):
        units = F.normalize(codes.float(), dim=1)
        cosines = torch.matmul(units, units.t())
    return Relations(cosines > positive, cosines < negative)


def concept_contrast(anchors: Tensor,
                     anchor_codes: Tensor,
                     targets: Tensor,
                     target_codes: Tensor,
                     relations: Relations,
                     temperature: float = 0.07,
                     own: Optional[Tensor] = None) -> Tensor:
    """InfoNCE of every pair of an anchor and a target of a like code, the mean over pairs and then over the images.

    The denominator has all targets of like codes and of codes that differ. An image without a pair adds 0.

    Args:
        anchors: (N, P, D), of any length.
        anchor_codes: (N, P) int64.
        targets, target_codes: (T, D) and (T,).
        own: (N,) int64, where the P cells of an image begin among the targets; they are no targets of themselves. None:
            they are not among them.

    Source: CAUSE (arXiv 2310.07379), section 3.3.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        units, targets = F.normalize(anchors.float(), dim=2), F.normalize(targets.float(), dim=1)
        terms = [
            # what the backward pass needs of an image is made again: of all images it would fill a GPU
            checkpoint(_of_image, of_image, codes, targets, target_codes, relations, temperature,
                       None if own is None else own[i], use_reentrant=False, preserve_rng_state=False)
            for i, (of_image, codes) in enumerate(zip(units, anchor_codes))]
        return torch.stack(terms).mean()


def _of_image(anchors: Tensor, codes: Tensor, targets: Tensor, target_codes: Tensor, relations: Relations,
              temperature: float, own: Optional[Tensor]) -> Tensor:
    """That of one image: (P, D) and (T, D) of unit length."""
    positive, negative = (table[codes][:, target_codes] for table in relations)
    if own is not None:
        place = torch.arange(len(codes), device=codes.device)
        positive[place, own + place] = False
    logits = torch.matmul(anchors, targets.t()) / temperature
    n_positive = positive.sum(1)
    has_any = n_positive > 0
    # an anchor without a positive has no part; its row may be empty
    compared = (positive | negative) | ~has_any[:, None]
    log_sums = logits.masked_fill(~compared, -torch.inf).logsumexp(1)
    of_anchors = n_positive * log_sums - (logits * positive).sum(1)
    return of_anchors.sum() / n_positive.sum().clamp(min=1)
