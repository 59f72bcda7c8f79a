"""How well a linear layer reads classes from the frozen features."""
from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import broadcast
from torch import Tensor

from ...functional import linear_scores
from ...registry import PROBES
from ...utils.checks import check_count, check_positive, is_finite
from ...utils.random import keyed_generator
from .base import LabelledCellsProbe

# Stream of the keyed generator that shuffles the cells of an epoch.
_SHUFFLE = 4
_MIN_STD = 1e-6


@PROBES.register_module()
class LinearProbe(LabelledCellsProbe):
    """Multinomial logistic regression on labelled cells of the training images; score it by ``match='identity'``.

    Adam minimises the mean cross-entropy for a fixed number of epochs while the learning rate falls linearly to zero;
    the end of the schedule is the score, no label of the test set is read. Features are standardised for the optimiser,
    and the scaling is folded into the weights: the result is linear in the features. Training starts from zero.

    Args:
        max_cells: size of the sample, see :class:`LabelledCellsProbe`.
        lr: first learning rate.
        epochs: over the sampled cells.
        batch_size: cells per step.
        weight_decay: of the weights, decoupled.
        stages: the layer is also kept after equal parts of the epochs, so many in all with the last one, and predicts
            the sets ``<name>_1`` to ``<name>_<stages>``. :class:`mmseg_unsup.RepeatedIoUMetric` then reports, beside
            the end of the schedule, the stage that scores best on the test labels, as much published work does.

    Attributes:
        layers (list): per stage, weight (classes, channels) and bias (classes,).
    """

    repeats_are_stages = True

    def __init__(self,
                 name: str = 'linear',
                 max_cells: int = 200_000,
                 lr: float = 1e-2,
                 epochs: int = 20,
                 batch_size: int = 1024,
                 weight_decay: float = 0.,
                 stages: int = 1,
                 **kwargs) -> None:
        super().__init__(name, max_cells, **kwargs)
        for setting, value in dict(epochs=epochs, batch_size=batch_size, stages=stages).items():
            check_count(f'{setting} of the probe {name!r}', value)
        check_positive(f'lr of the probe {name!r}', lr)
        if not is_finite(weight_decay) or weight_decay < 0:
            raise ValueError(f'weight_decay of the probe {name!r} must be at least 0, but it is {weight_decay!r}')
        if stages > epochs:
            raise ValueError(f'stages of the probe {name!r} must be from 1 to epochs={epochs}, but it is {stages}')
        self.repeats = stages
        self.lr, self.epochs, self.batch_size, self.weight_decay = lr, epochs, batch_size, weight_decay

    def finish(self) -> str:
        rows, labels = self.gather()
        mean, std = rows.mean(0), rows.std(0, unbiased=False).clamp(min=_MIN_STD)
        with torch.enable_grad():
            trained = self._train(rows.sub_(mean).div_(std), labels)
        weight, bias = trained[-1]
        accuracy = 100 * float(((rows @ weight.t() + bias).argmax(1) == labels).float().mean())
        self.layers = [(weight / std, bias - (weight / std) @ mean) for weight, bias in trained]
        for tensor in (tensor for layer in self.layers for tensor in layer):
            broadcast(tensor)  # GPUs may round differently
        return f'{len(rows)} cells of {len(labels.unique())} classes, {accuracy:.1f} % of them right after training'

    def _train(self, rows: Tensor, labels: Tensor) -> List[Tuple[Tensor, Tensor]]:
        """Train on (M, C) standardised rows of (M,) classes -> per stage, weight (K, C) and bias (K,)."""
        weight = torch.zeros(self.n_classes, self.n_channels, device=rows.device, requires_grad=True)
        bias = torch.zeros(self.n_classes, device=rows.device, requires_grad=True)
        optimizer = torch.optim.AdamW([dict(params=[weight], weight_decay=self.weight_decay),
                                       dict(params=[bias], weight_decay=0.)], lr=self.lr)
        n_steps = self.epochs * -(-len(rows) // self.batch_size)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
        ends = {self.epochs * (stage + 1) // self.repeats for stage in range(self.repeats)}
        layers = []
        for epoch in range(self.epochs):
            order = keyed_generator(self.seed, _SHUFFLE, epoch).permutation(len(rows))
            for cells in torch.from_numpy(order).to(rows.device).split(self.batch_size):
                loss = F.cross_entropy(rows[cells] @ weight.t() + bias, labels[cells])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            if epoch + 1 in ends:
                layers.append((weight.detach().clone(), bias.detach().clone()))
        return layers

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        return linear_scores(feats, *self.layers[index])
