"""A linear layer that learns the classes of pixels in steps, as the methods on frozen features train it along."""
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from ...clustering.soft_labels import check_labels
from ...functional import linear_scores
from ...registry import PROBES
from ...utils.checks import check_positive
from ...utils.devices import to_device
from ...utils.random import keyed_global_rng
from .base import Probe

_WEIGHTS = 6  # stream of the keyed generator


@PROBES.register_module()
class PixelProbe(Probe):
    """A 1x1 convolution whose scores are enlarged to the label; score it by ``match='identity'``.

    Every batch that it gets is a step of Adam, with a constant learning rate, on the mean cross-entropy of the labelled
    pixels over all ranks. :class:`mmseg_unsup.LinearProbeHook` gives it one at every step of the training; in the one
    pass of :class:`mmseg_unsup.ProbeHook` it takes few.

    Args:
        lr: learning rate.

    Attributes:
        weight, bias (Parameter): (K, C) and (K,).
        n_steps (int): that were taken.

    Source: ``training_step`` of the released code of STEGO, and its constants.

    Raises:
        ValueError: the learning rate is not positive; at :meth:`add`: a label is no class.
    """

    needs_labels = needs_label_maps = True
    predicts_classes = True

    def __init__(self, name: str = 'linear', features: Optional[str] = None, lr: float = 5e-3, **kwargs) -> None:
        super().__init__(name, features, **kwargs)
        check_positive(f'lr of the probe {name!r}', lr)
        self.lr = lr

    def begin(self, n_channels: int, n_classes: int, n_images: int, seed: int, device: torch.device,
              ignore_index: int = 255) -> None:
        super().begin(n_channels, n_classes, n_images, seed, device, ignore_index)
        with keyed_global_rng(seed, _WEIGHTS):
            layer = nn.Linear(n_channels, n_classes)
        self.weight, self.bias = layer.to(device).parameters()
        self.optimizer, self.n_steps = torch.optim.Adam([self.weight, self.bias], self.lr), 0
        self._loss = torch.zeros((), device=device)

    def add(self, positions: Sequence[int], feats: Tensor, labels: Optional[List[Tensor]] = None,
            segments: Optional[Tensor] = None) -> None:
        """Take a step. Collective."""
        with torch.enable_grad():
            total, n_pixels = self._sums(feats.detach().float(), labels)
        self.optimizer.zero_grad()
        total.backward()
        all_reduce(n_pixels)
        for parameter in (self.weight, self.bias):
            all_reduce(parameter.grad)
            parameter.grad.div_(n_pixels.clamp(min=1))
        self.optimizer.step()
        self.n_steps, self._loss = self.n_steps + 1, total.detach() / n_pixels.clamp(min=1)

    def loss(self, feats: Tensor, labels: Sequence[Tensor]) -> Tensor:
        """Mean cross-entropy of the labelled pixels of (N, C, h, w) features with N label maps (H, W)."""
        total, n_pixels = self._sums(feats, labels)
        return total / n_pixels.clamp(min=1)

    def _sums(self, feats: Tensor, labels: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """Sum of the cross-entropies of labelled pixels, and their number, both on the device of the features."""
        scores = linear_scores(feats, self.weight, self.bias)
        total, n_pixels = scores.sum() * 0, torch.zeros((), device=feats.device)
        for images, targets in _by_shape(labels):
            check_labels(targets[targets != self.ignore_index].long(), self.n_classes, self.ignore_index,
                         f' for the probe {self.name!r}')
            targets = to_device(targets, feats.device).long()
            enlarged = F.interpolate(scores[images], targets.shape[1:], mode='bilinear')
            total = total + F.cross_entropy(enlarged, targets, ignore_index=self.ignore_index, reduction='sum')
            n_pixels = n_pixels + (targets != self.ignore_index).sum()
        return total, n_pixels

    def finish(self) -> str:
        loss = self._loss.clone()  # may be asked for again
        all_reduce(loss)
        return f'{self.n_steps} steps, cross-entropy {float(loss):.3f} in the last one'

    def scores(self, feats: Tensor, index: int = 0, segments: Optional[Tensor] = None) -> Tensor:
        return linear_scores(feats.float(), self.weight.detach(), self.bias.detach())

    def state_dict(self) -> Dict[str, Any]:
        """All that further steps depend on."""
        return dict(weight=self.weight.detach(), bias=self.bias.detach(), optimizer=self.optimizer.state_dict(),
                    n_steps=self.n_steps)

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave.

        Raises:
            ValueError: it is of other features or classes.
        """
        shape, own = tuple(state['weight'].shape), tuple(self.weight.shape)
        if shape != own:
            raise ValueError(f'the checkpoint has the probe {self.name!r} of {shape[0]} classes and {shape[1]} channels'
                             f', but the data set and the model have {own[0]} and {own[1]}: use the config of its run')
        with torch.no_grad():
            self.weight.copy_(state['weight'])
            self.bias.copy_(state['bias'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.n_steps = state['n_steps']


def _by_shape(labels: Sequence[Tensor]) -> Iterator[Tuple[List[int], Tensor]]:
    """Numbers of the label maps of one size, and these maps (n, H, W)."""
    for shape in dict.fromkeys(tuple(of.shape) for of in labels):
        images = [i for i, of in enumerate(labels) if tuple(of.shape) == shape]
        yield images, torch.stack([labels[i] for i in images])
