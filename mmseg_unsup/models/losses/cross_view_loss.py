"""Within-view and cross-view cross-entropy of PiCIE."""
from typing import Sequence

import torch.nn.functional as F
from torch import Tensor


def cross_view_loss(feats: Sequence[Tensor],
                    labels: Sequence[Tensor],
                    prototypes: Tensor,
                    class_weights: Tensor,
                    temperature: float = 1.) -> dict:
    """Classify the pixels of every view by the prototypes of every view.

    With f_a the features of view a and mu_b, y_b, w_b the prototypes, labels and class weights of view b, the term
    (a, b) is the weighted cross-entropy of ``<f_a, mu_b> / temperature`` against y_b with w_b: prototypes, labels and
    weights always belong to the same view. Terms with a = b are averaged into ``loss_within``, the others into
    ``loss_cross``.

    Args:
        feats: V feature maps (N, C, h, w) of unit length, cell by cell the same place of the scene.
        labels: V maps (N, h, w) of int64.
        prototypes: (V, K, C).
        class_weights: (V, K).
        temperature: divides the logits; 1 in the released code.

    Returns:
        dict: ``loss_within`` and, for V > 1, ``loss_cross``; scalars.

    Source: PiCIE (arXiv 2103.17070) section 3.3; train_picie.py:84-163 of the released code.
    """
    within, cross = [], []
    classifier = prototypes.flatten(0, 1).t() / temperature  # (C, V K)
    for a, feat in enumerate(feats):
        # one product for the prototypes of all views; a cell a row, which costs nothing for channels-last maps
        logits = feat.permute(0, 2, 3, 1).flatten(0, 2) @ classifier
        for b, block in enumerate(logits.split(prototypes.size(1), 1)):
            term = F.cross_entropy(block, labels[b].flatten(), class_weights[b])
            (within if a == b else cross).append(term)
    losses = dict(loss_within=sum(within) / len(within))
    if cross:
        losses['loss_cross'] = sum(cross) / len(cross)
    return losses
