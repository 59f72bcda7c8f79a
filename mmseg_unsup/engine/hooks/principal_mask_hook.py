"""Principal masks of all training images, made once."""
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ...datasets.transforms.geometric import resize_image
from ...functional import NO_MASK, mask_log_probabilities, principal_masks
from ...functional.crf import build_crf
from ...registry import HOOKS
from ...utils.checks import check_count, check_share
from ..fitting import FeatureBatch
from ..forecast import progress_of
from .fit_hook import START, FitHook, Reading


@HOOKS.register_module()
class PrincipalMaskHook(FitHook):
    """Gives a :class:`mmseg_unsup.PriMaPs` the masks of all training images, before the training begins or goes on.

    An image is seen as evaluation sees it, by ``probe_dataloader``; views of the training take their part of the
    masks. Each takes a byte a cell: 1.6 kB for 40x40 cells.

    Args:
        threshold, covered: see :func:`mmseg_unsup.functional.principal_masks`.
        max_masks: of an image.
        enlarge: masks are so many times as fine as the features.
        crf: settings of :func:`~mmseg_unsup.functional.crf.build_crf`, which moves the borders of masks to those of the
            image; None leaves them to the cells.

    Raises:
        ValueError: a number that cannot be; the images of ``probe_dataloader`` are not those of the training.
    """

    moment, name, phase = START, 'principal masks', 'masks'
    reads_clusters = True  # a neck may be set in an earlier pass

    def __init__(self, threshold: float = 0.4, covered: float = 0.95, max_masks: int = 64, enlarge: int = 1,
                 crf: Optional[dict] = None) -> None:
        check_share('threshold', threshold)
        check_share('covered', covered)
        check_count('enlarge', enlarge)
        check_count('max_masks', max_masks)
        if max_masks >= NO_MASK:
            raise ValueError(f'max_masks must be below {NO_MASK}, but it is {max_masks}')
        self.settings = dict(threshold=threshold, covered=covered, max_masks=max_masks)
        self.enlarge, self.crf = enlarge, None if crf is None else build_crf(**crf)

    def needs_pixels(self, model: torch.nn.Module) -> bool:
        return self.crf is not None

    def times(self, runner) -> Sequence[int]:
        return [progress_of(runner)[0]]

    def before_train(self, runner) -> None:
        n_trained, n_seen = (len(loader.dataset) for loader in (runner.train_dataloader, self.reading(runner).loader))
        if n_trained != n_seen:
            raise ValueError(f'train_dataloader has {n_trained} images, but probe_dataloader, whose images masks are '
                             f'made of, has {n_seen}: give both the same data set')
        super().before_train(runner)

    def reading(self, runner, labelled: bool = False) -> Reading:
        return super().reading(runner)

    def begin(self, model: torch.nn.Module, n_images: int, key: Tuple[int, ...], device: torch.device) -> None:
        self._model, self._n_images = model, n_images
        self._masks = torch.zeros(0, dtype=torch.uint8)

    def add(self, batch: FeatureBatch) -> None:
        index = self._model.mask_index
        feats = batch.feats('codes') if index is None else batch.backbone_map(index)
        if not len(self._masks):
            size = [self.enlarge * n for n in feats.shape[2:]]
            self._masks = torch.zeros(self._n_images, *size, dtype=torch.uint8, device=feats.device)
        images = batch.images if self.crf else feats
        for number, of_image, image in zip(batch.sample_indices, feats, images):
            self._masks[number] = self._ids(of_image.float(), image) + 1

    def _ids(self, feats: Tensor, image: Tensor) -> Tensor:
        """(C, h, w) features and (3, H, W) image -> ids of masks, -1 for none."""
        scores = mask_log_probabilities(principal_masks(feats, **self.settings))
        size = [self.enlarge * n for n in feats.shape[1:]]
        scores = F.interpolate(scores[None], size, mode='bilinear', align_corners=False)[0]
        if self.crf is not None:
            image = resize_image(self._model.rgb_image(image), tuple(size))
            scores = torch.from_numpy(self.crf(image, scores.cpu().numpy())).to(scores.device)
        return scores.argmax(0) - 1

    def finish(self) -> None:
        all_reduce(self._masks)  # every image has one rank that sees it
        self._masks = self._masks.cpu()

    def use(self, runner, model: torch.nn.Module) -> None:
        model.masks = self._masks - 1  # 0, for none, becomes 255
        counts = self._masks.flatten(1).amax(1).float()
        runner.logger.info(f'{self.name}: {float(counts.mean()):.1f} an image, on '
                           f'{100 * float((self._masks > 0).float().mean()):.0f} % of the cells')
