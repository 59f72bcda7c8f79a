"""Within-view and cross-view cross-entropy of PiCIE."""
from typing import Dict, List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_view_loss(feats: Sequence[Tensor],
                    labels: Sequence[Sequence[Tensor]],
                    prototypes: Sequence[Tensor],
                    class_weights: Sequence[Tensor],
                    temperature: float = 1.) -> List[Dict[str, Tensor]]:
    """Classify the pixels of every view by the prototypes of every view, on each level of clusters.

    With f_a the features of view a and mu_b, y_b, w_b the prototypes, labels and class weights of view b, the term
    (a, b) is the weighted cross-entropy of ``<f_a, mu_b> / temperature`` against y_b with w_b: prototypes, labels and
    weights always belong to the same view. Terms with a = b are averaged into ``loss_within``, the others into
    ``loss_cross``.

    Args:
        feats: V feature maps (N, C, h, w) of unit length, cell by cell the same place of the scene.
        labels: per level, V maps (N, h, w) of int64.
        prototypes: per level, (V, K, C).
        class_weights: per level, (V, K).
        temperature: divides the logits; 1 in the released code.

    Returns:
        list: per level a dict, ``loss_within`` and, for V > 1, ``loss_cross``; scalars.

    Source: PiCIE (arXiv 2103.17070) section 3.3; train_picie.py:84-163 of the released code.
    """
    within, cross = [[[] for _ in labels] for _ in range(2)]
    sizes = [of_level.size(1) for of_level in prototypes for _ in feats]
    # one product for the prototypes of all levels and views; a cell a row, which costs nothing for channels-last maps
    classifier = torch.cat([of_level.flatten(0, 1) for of_level in prototypes]).t() / temperature
    for a, feat in enumerate(feats):
        blocks = iter((feat.permute(0, 2, 3, 1).flatten(0, 2) @ classifier).split(sizes, 1))
        for level, (of_views, weights) in enumerate(zip(labels, class_weights)):
            for b, of_view in enumerate(of_views):
                term = F.cross_entropy(next(blocks), of_view.flatten(), weights[b])
                (within if a == b else cross)[level].append(term)
    return [{name: sum(terms) / len(terms) for name, terms in (('loss_within', own), ('loss_cross', others)) if terms}
            for own, others in zip(within, cross)]
