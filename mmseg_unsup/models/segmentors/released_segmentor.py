"""What released checkpoints of methods on frozen features predict."""
from typing import List, NoReturn, Optional, Tuple

import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from ...utils.checks import check_choice
from ..codebook import Codebook
from .code_segmentor import CodeSegmentor

ENLARGED = ('scores', 'codes')
LINEAR = 'linear'  # the set that the linear probe of a checkpoint is: classes of its data set, learnt from labels


@MODELS.register_module()
class ReleasedSegmentor(CodeSegmentor):
    """Frozen backbone, codes and clusters of a checkpoint that ``mmseg-unsup convert-released`` read; nothing trains.

    The set ``linear`` of a checkpoint that has it is its linear probe, whose classes were learnt from labels.

    Args:
        n_codes: of the :class:`Codebook` of a neck that reads codes, such as CAUSE's transformer head; None for none.
        test_cfg: as of :class:`ClusterSegmentor`, and ``enlarge``: what is brought to the pixels that the network sees,
            ``'scores'`` of cells, or ``'codes'``, of which every pixel is then scored, as the released codes do it;
            that takes the memory of a code for each pixel.

    Raises:
        ValueError: another value of ``enlarge``; see :class:`CodeSegmentor`.
    """

    test_settings = (*CodeSegmentor.test_settings, 'enlarge')

    def __init__(self, *args, n_codes: Optional[int] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if n_codes is not None:
            self.codebook = Codebook(n_codes, self.neck.in_channels, self.neck.in_index)
        enlarged = (self.test_cfg or {}).get('enlarge', ENLARGED[0])
        check_choice('model.test_cfg.enlarge', enlarged, ENLARGED)
        self._enlarges_codes = enlarged == 'codes'

    def averaged_feat(self, images: Tensor) -> Tuple[Tensor, ...]:
        maps = super().averaged_feat(images)
        if not self._enlarges_codes:
            return maps
        return tuple(F.interpolate(codes.float(), images.shape[2:], mode='bilinear', align_corners=False)
                     for codes in maps)

    def loss(self, inputs: List[Tensor], data_samples: list) -> NoReturn:
        """Raise RuntimeError: there is nothing to train."""
        raise RuntimeError('a converted checkpoint is not trained further: train a config of its method, or start from '
                           'its backbone')
