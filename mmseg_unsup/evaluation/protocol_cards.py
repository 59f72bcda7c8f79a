"""Protocol cards: how a number was made, as data, so that numbers that were made in other ways are seen to be."""
from dataclasses import asdict, dataclass, fields, replace
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from ..functional.averaging import check_scales
from ..utils.checks import check_choice, check_count, is_finite
from ..utils.score_table import markdown_table

# what the values of a card may be
CHOICES = dict(
    resize=('area', 'bilinear', 'nearest'),
    frame=('whole image', 'centre square', 'squashed'),
    enlarged=('scores', 'codes'),
    extra_clusters=('wrong', 'dropped'),
    absent_classes=('left out', 'matched'),
    matching=('hungarian', 'majority', 'identity', 'hungarian on iou', 'majority on iou'))
LAST, ON_TEST = 'last', 'best on the test labels'
NO_LABELS, CHOSEN, TRAINED, PROBED = ('none', 'chose the checkpoint', 'trained the features',
                                      'trained the linear probe')


@dataclass(frozen=True)
class ProtocolCard:
    """How scores were made; cards that differ in any field but the name belong to numbers that cannot be compared.

    Attributes:
        name: who says so.
        size: pixels of the shorter side that the network sees.
        resize: how images are brought to it: ``'area'`` averages where it shrinks and is bilinear where it does not,
            ``'bilinear'`` has no antialias, ``'nearest'`` takes pixels as they are. Labels are always nearest.
        frame: what is scored: ``'whole image'`` at the size of its file, ``'squashed'``, the same of one whose sides
            both are ``size``, or its ``'centre square'`` at ``size``.
        scales: codes are the mean of those of the image at so many times ``size``; None for once.
        flip: codes are the mean of those of the image and of its mirror image.
        enlarged: what is brought to pixels bilinearly, ``'scores'`` of cells or their ``'codes'``.
        crf: settings of :func:`mmseg_unsup.functional.crf.build_crf`; None for none.
        extra_clusters: pixels of clusters that no class is matched to count as ``'wrong'``; or those of clusters beyond
            the number of classes are ``'dropped'`` before anything is counted.
        absent_classes: classes without a labelled pixel are ``'left out'`` of matching and mean, or ``'matched'``,
            which gives them an IoU of 0 wherever their cluster is predicted, as ``'identity'`` does.
        matching: of clusters to classes, once over the whole set: ``'hungarian'`` one to one, or
            ``'majority'``, many to one; ``'identity'``, what is predicted are classes. What is summed is counts of
            pixels, or IoU.
        void: labels that do not count.
        checkpoint: which one of its training.
        labels: what labels of the data set did on the way to the weights.

    Raises:
        ValueError: a value that there is not.
    """
    name: str
    size: int = 320
    resize: str = 'area'
    frame: str = 'whole image'
    scales: Optional[List[float]] = None
    flip: bool = False
    enlarged: str = 'scores'
    crf: Optional[dict] = None
    extra_clusters: str = 'wrong'
    absent_classes: str = 'left out'
    matching: str = 'hungarian'
    void: str = 'ignored label'
    checkpoint: str = LAST
    labels: str = NO_LABELS

    def __post_init__(self) -> None:
        check_count('size of a protocol card', self.size)
        for name, allowed in CHOICES.items():
            check_choice(f'{name} of a protocol card', getattr(self, name), allowed)
        if not isinstance(self.flip, bool) or self.crf is not None and not _is_crf(self.crf):
            raise ValueError(f'flip={self.flip!r} and crf={self.crf!r} of a protocol card must be a bool, and None or '
                             'a dict of a method and numbers')
        for name in ('name', 'void', 'checkpoint', 'labels'):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f'{name}={getattr(self, name)!r} of a protocol card must be a text')
        if self.scales is not None:
            check_scales(self.scales, 'scales of a protocol card')

    @property
    def counts_as_released(self) -> bool:
        """Scores are those of :class:`mmseg_unsup.ReleasedIoUMetric`."""
        return self.matching != 'identity' and (self.extra_clusters == 'dropped' or self.absent_classes == 'matched')

    def of_checkpoint(self, other: 'ProtocolCard') -> 'ProtocolCard':
        """This card for the weights of another one, which no evaluation changes."""
        return replace(self, checkpoint=other.checkpoint, labels=other.labels)

    def of_linear_probe(self) -> 'ProtocolCard':
        """This card for a linear probe, whose classes were learnt from labels and need no matching, and whose logits
        have a scale of their own."""
        labels = PROBED if self.labels == NO_LABELS else f'{PROBED}, {self.labels}'
        crf = None if self.crf is None else dict(self.crf, temperature=1.)
        return replace(self, name=f'{self.name}, linear', crf=crf, absent_classes='matched', matching='identity',
                       labels=labels)

    def differences(self, other: 'ProtocolCard') -> List[str]:
        """Names of the fields that differ."""
        return [field for field in FIELDS if getattr(self, field) != getattr(other, field)]

    def describe_differences(self, other: 'ProtocolCard') -> str:
        """``'size (320 and 224), flip (yes and no)'``; empty for cards that are alike."""
        return ', '.join(f'{field} ({card_text(getattr(self, field))} and {card_text(getattr(other, field))})'
                         for field in self.differences(other))

    def to_dict(self) -> dict:
        return asdict(self)


def _is_crf(settings) -> bool:
    """Whether this is a name and numbers, which a table can show."""
    return isinstance(settings, Mapping) and all(
        isinstance(value, str) if key == 'method' else is_finite(value) for key, value in settings.items())


FIELDS = tuple(field.name for field in fields(ProtocolCard) if field.name != 'name')


def card_from(values: Mapping, source: str) -> ProtocolCard:
    """The card that a file holds as plain values.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(values, Mapping) or set(values) != {'name', *FIELDS}:
        raise ValueError(f'{source} has no protocol card with the fields {", ".join(FIELDS)}: write the table again')
    try:
        return ProtocolCard(**values)
    except ValueError as error:
        raise ValueError(f'{source} has a protocol card that cannot be: {error}') from None


def _lattice(sharpness: float) -> dict:
    """STEGO's CRF (src/crf.py) of ``sharpness`` times the scores."""
    return dict(method='lattice', temperature=1 / sharpness, n_iter=10, smooth_xy=1., smooth_weight=3., edge_xy=67.,
                edge_rgb=3., edge_weight=4.)


HONEST = ProtocolCard('honest')
_STEGO = ProtocolCard(
    'stego', resize='nearest', frame='centre square', flip=True, enlarged='codes', crf=_lattice(2),
    extra_clusters='dropped', absent_classes='matched', checkpoint=ON_TEST, labels=CHOSEN)
# name -> how the paper's numbers were made, by its released code
CARDS: Dict[str, ProtocolCard] = {card.name: card for card in (
    HONEST,
    _STEGO,
    replace(_STEGO, name='hp', flip=False),
    replace(_STEGO, name='smooseg'),
    replace(_STEGO, name='depthg'),
    replace(_STEGO, name='eagle', crf=_lattice(4)),
    replace(_STEGO, name='cause', crf=_lattice(3), checkpoint=LAST, labels=TRAINED),
    replace(_STEGO, name='primaps', resize='bilinear', crf=_lattice(1), extra_clusters='wrong'),
)}


def card_text(value) -> str:
    """A value of a card for a table."""
    if isinstance(value, Mapping):
        constants = ', '.join(f'{key} {number:g}' for key, number in value.items() if key != 'method')
        return f'{value.get("method", "lattice")}: {constants}'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, (list, tuple)):
        return ', '.join(f'{number:g}' for number in value)
    return 'none' if value is None else str(value)


STARRED = 'Numbers of cards that differ in a line with a star cannot be compared.'


def card_table(cards: Sequence[ProtocolCard]) -> str:
    """A Markdown table of a column for each card; a field in which they differ has a star."""
    rows = []
    for field in FIELDS:
        values = [card_text(getattr(card, field)) for card in cards]
        rows.append([field + ('' if len(set(values)) == 1 else ' *'), *values])
    return markdown_table(['protocol', *(card.name for card in cards)], rows)


def unique_cards(cards: Iterable[ProtocolCard]) -> List[ProtocolCard]:
    """Those that differ, in their order, numbered where they have the same name."""
    found = list({repr(card): card for card in cards}.values())
    names = [card.name for card in found]
    return [card if names.count(card.name) == 1 else
            replace(card, name=f'{card.name} {names[:i + 1].count(card.name)}') for i, card in enumerate(found)]
