"""CAUSE: codes of frozen features, contrasted by the concepts of a codebook."""
from typing import Dict, List, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.checks import check_count, check_positive
from ...utils.devices import to_device
from ...utils.whole_batch import common, gather_images, own_images
from ..codebook import CodeBank, Codebook
from ..losses.concept_contrast import code_relations, concept_contrast
from ..teachers import AverageTeacher
from .code_segmentor import CodeSegmentor


@MODELS.register_module()
class CAUSE(CodeSegmentor):
    """Projected codes of two cells agree if their features have like codes in a codebook, and differ if unlike ones.

    :class:`mmseg_unsup.CodebookHook` fits the codebook to the frozen features before the training. Cells are compared
    with those of a teacher, the moving average of neck and projection: of all images of the batch, and of earlier steps
    in a bank. The teacher's codes predict, and the set ``cluster`` is trained along on them, detached.

    Args:
        n_codes: K of the codebook.
        projection_channels: D' of the vectors that are compared.
        momentum: share of the new weights in the teacher after a step.
        bank_length: vectors of earlier steps that are kept of each code; 0 for none.
        positive, negative: codes with a cosine above the first are alike, with one below the second they differ.
        temperature: of the contrast.
        released_leak: the third step of the released code, for comparison: the cross-entropy of a linear classifier
            **with labels** trains the teacher's neck, beside the set ``cluster``. It goes on from a checkpoint of a run
            without (``load_from``) and needs a training set with labels. Its checkpoints and tables say that it was
            trained on labels.

    Attributes:
        codebook (Codebook), bank (CodeBank), target_generator (AverageTeacher): in the checkpoint.

    Source: CAUSE (arXiv 2310.07379); constants of the released code, of which the labels are left out.

    Raises:
        ValueError: a number that cannot be; see :class:`CodeSegmentor`.
    """

    def __init__(self,
                 *args,
                 n_codes: int = 2048,
                 projection_channels: int = 2048,
                 momentum: float = 0.01,
                 bank_length: int = 100,
                 positive: float = 0.3,
                 negative: float = 0.1,
                 temperature: float = 0.07,
                 released_leak: bool = False,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_count('projection_channels', projection_channels)
        check_positive('temperature', temperature)
        if not -1 <= negative <= positive <= 1:
            raise ValueError(f'codes are alike above positive={positive!r} and differ below negative={negative!r}: '
                             'give two cosines, the first not below the second')
        self.positive, self.negative, self.temperature = positive, negative, temperature
        self.codebook = Codebook(n_codes, self.neck.in_channels, self.neck.in_index)
        self.projection = nn.Conv2d(self.neck.out_channels, projection_channels, 1)
        self.bank = CodeBank(bank_length, projection_channels)
        parts = ['backbone', 'codebook', 'neck'] if self.reads_codes else ['backbone', 'neck']
        self.target_generator = AverageTeacher(self, parts, ['projection'], momentum)
        self.released_leak = self.uses_labels = released_leak
        if released_leak:
            self._train_teacher()

    def _train_teacher(self) -> None:
        self.linear = nn.Conv2d(self.neck.out_channels, self.decode_head.n_clusters, 1)
        for student in (self.neck, self.projection):
            student.requires_grad_(False)
        self.target_generator.neck.requires_grad_(True)

    # the course of a training

    def start(self, is_new: bool) -> None:
        """As of the base; the released third step goes on with the teacher of the checkpoint."""
        super().start(is_new and not self.released_leak)

    def follow(self, steps_per_epoch: float) -> None:
        if not self.released_leak:
            super().follow(steps_per_epoch)

    @property
    def fits_codebook(self) -> bool:
        """Whether a run fits a codebook where there is none; the released third step goes on with that of another."""
        return not self.released_leak

    def check_ready(self) -> None:
        super().check_ready()
        if self.codebook.is_fitted:
            return
        raise RuntimeError('released_leak is the third step of the released code, which goes on with the teacher of a '
                           'trained model: set load_from to its checkpoint' if self.released_leak else
                           "there is no codebook: add codebook=dict(type='mmseg_unsup.CodebookHook') to default_hooks, "
                           'which fits it before the training')

    def cluster_tensors(self) -> List[Tensor]:
        """As of the base.

        Raises:
            RuntimeError: the transformer head has no codebook; see the base.
        """
        if self.reads_codes and not self.codebook.is_fitted:
            raise RuntimeError('the weights have no codebook (codebook.weight), whose codes are the queries of the '
                               'transformer head: load a checkpoint of a whole run')
        return super().cluster_tensors()

    # the training

    def loss(self, inputs: List[Tensor], data_samples: list) -> Dict[str, Tensor]:
        """``loss_contrast`` and ``loss_cluster``; of the released third step ``loss_linear`` and ``loss_cluster``.

        Args:
            inputs: the images.
        """
        images, = inputs
        maps = self.frozen_maps(images)
        if self.released_leak:
            return self.labelled_losses(maps, data_samples)
        with torch.no_grad():
            targets = self.target_generator.neck(maps)[self.decode_head.in_index]
            concepts = self.codebook.nearest(maps[self.neck.in_index]).flatten(1)
            projected = _cells(self.target_generator.projection(targets))
        anchors = _cells(self.projection(self.neck(maps)[self.decode_head.in_index]))
        return dict(
            loss_contrast=self.contrast(anchors, projected, concepts),
            loss_cluster=self.cluster_loss(targets))

    def contrast(self, anchors: Tensor, targets: Tensor, concepts: Tensor) -> Tensor:
        """The contrast of student and teacher with the teacher's cells of the batch, and if there are some in the bank
        the mean of that and the one with these; fills the bank.

        Args:
            anchors, targets: (N, P, D) projections of student and teacher; ranks exchange those of the teacher.
            concepts: (N, P) int64 codes.
        """
        own = own_images(torch.arange(len(anchors) * get_world_size())) * anchors.size(1)
        own = to_device(own, anchors.device)
        vectors, codes = gather_images(targets).flatten(0, 1), gather_images(concepts).flatten()
        relations = code_relations(self.codebook.weight, self.positive, self.negative)
        settings = dict(relations=relations, temperature=self.temperature)
        terms = [concept_contrast(anchors, concepts, vectors, codes, own=own, **settings)]
        if len(self.bank):
            terms.append(concept_contrast(anchors, concepts, self.bank.vectors, self.bank.codes, **settings))
        # drawn on the host, as a GPU draws other numbers
        self.bank.add(vectors, codes, common(to_device(torch.randperm(len(codes)), codes.device)))
        return sum(terms) / len(terms)

    def labelled_losses(self, maps: Tuple[Tensor, ...], data_samples: list) -> Dict[str, Tensor]:
        """Those of the released third step: the labels reach the neck that predicts."""
        codes = self.target_generator.neck(maps)[self.decode_head.in_index]
        if 'gt_sem_seg' not in data_samples[0]:
            raise ValueError('released_leak trains on labels, and the images have none: give train_dataloader a '
                             'mmseg_unsup.ViewDataset with with_labels=True and mmseg_unsup.LoadLabels in its pipeline')
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in data_samples]).to(codes.device).long()
        logits = F.interpolate(self.linear(codes).float(), labels.shape[1:], mode='bilinear', align_corners=False)
        is_class = (labels >= 0) & (labels < logits.size(1))
        n_labels = is_class.sum().to(logits)
        all_reduce(n_labels, 'mean')  # processes need not have as many
        loss = F.cross_entropy(logits, labels.where(is_class, -1), ignore_index=-1, reduction='sum') / n_labels
        return dict(loss_linear=loss, loss_cluster=self.cluster_loss(codes))


def _cells(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h w, C)."""
    return maps.flatten(2).transpose(1, 2)
