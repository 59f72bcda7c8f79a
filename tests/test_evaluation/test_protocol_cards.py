"""Protocol cards: what differs is seen, and the cards of the papers give the numbers of the released codes."""
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmseg_unsup.evaluation.metrics import ClusterIoUMetric, ReleasedIoUMetric
from mmseg_unsup.evaluation.protocol_cards import (CARDS, FIELDS, HONEST, ProtocolCard, card_from, card_table,
                                                   unique_cards)
from ..conftest import ROOT
from ..facts import facts

IGNORED = 255


def scores_of(metric, labels, clusters):
    metric.dataset_meta = dict(classes=tuple('abcd'))
    labels = np.where(labels < 0, IGNORED, labels)
    metric.process({}, [dict(gt_sem_seg=dict(data=torch.from_numpy(label)[None]), pred_sem_seg=dict(
        data=torch.from_numpy(ids)[None])) for label, ids in zip(labels, clusters)])
    return metric.compute_metrics(metric.results)


@pytest.mark.parametrize('case', ['matched', 'extra2', 'empty_cluster', 'absent_class'])
def test_the_released_metric_is_that_of_the_released_code(case):
    arrays = facts('stego_metrics')
    label = arrays['absent_class/label' if case == 'absent_class' else 'label']
    clusters = arrays['matched/pred' if case == 'absent_class' else f'{case}/pred']
    found = scores_of(ReleasedIoUMetric(show_table=False), label, clusters)
    assert found['aAcc'] == pytest.approx(arrays[f'{case}/Accuracy'], abs=1e-4)
    assert found['mIoU'] == pytest.approx(arrays[f'{case}/mIoU'], abs=1e-4)


def test_dropped_clusters_are_the_difference():
    """75.1 % of the pixels that the released code counts are right, and 57.9 % of all that have a label."""
    arrays = facts('stego_metrics')
    labels, clusters = arrays['label'], arrays['extra2/pred']
    dropped, wrong, honest = (scores_of(metric, labels, clusters) for metric in (
        ReleasedIoUMetric(show_table=False), ReleasedIoUMetric('wrong', show_table=False),
        ClusterIoUMetric(show_table=False)))
    share = ((clusters < 4) & (labels >= 0)).sum() / (labels >= 0).sum()
    assert dropped['counted'] == pytest.approx(100 * share, abs=1e-3) and wrong['counted'] == 100
    assert dropped['aAcc'] == pytest.approx(75.1, abs=0.05)
    assert honest['aAcc'] == wrong['aAcc'] == pytest.approx(57.9, abs=0.05)


def test_differences_are_named_and_starred():
    other = replace(HONEST, name='another', size=224, flip=True)
    assert HONEST.differences(replace(HONEST, name='another')) == [] and HONEST.differences(other) == ['size', 'flip']
    assert HONEST.describe_differences(other) == 'size (320 and 224), flip (no and yes)'
    starred = [line.split(' | ')[0][2:] for line in card_table([HONEST, other]).splitlines() if ' * |' in line]
    assert starred == ['size *', 'flip *'] and '*' not in card_table([HONEST, HONEST])


def test_equal_names_of_unlike_cards_are_numbered():
    other = replace(HONEST, size=224)
    assert [card.name for card in unique_cards([HONEST, other, HONEST])] == ['honest 1', 'honest 2']


def test_cards_are_data():
    for card in CARDS.values():
        assert card_from(card.to_dict(), 'a.json') == card
    with pytest.raises(ValueError, match='a.json has no protocol card with the fields size, resize'):
        card_from(dict(HONEST.to_dict(), colour='red'), 'a.json')
    with pytest.raises(ValueError, match="there is no resize of a protocol card 'nearst' .did you mean nearest"):
        ProtocolCard('mine', resize='nearst')
    with pytest.raises(ValueError, match='crf=3 of a protocol card must be'):
        ProtocolCard('mine', crf=3)


def test_cards_of_the_papers_differ_where_their_codes_do():
    assert CARDS['stego'].differences(CARDS['depthg']) == CARDS['stego'].differences(CARDS['smooseg']) == []
    assert CARDS['stego'].differences(CARDS['hp']) == ['flip']
    assert [1 / CARDS[name].crf['temperature'] for name in ('stego', 'eagle', 'cause', 'primaps')] == [2, 4, 3, 1]
    assert CARDS['cause'].labels == 'trained the features' and CARDS['cause'].checkpoint == 'last'
    # of the weights of a method honest says what happened to them
    assert set(HONEST.of_checkpoint(CARDS['stego']).differences(CARDS['stego'])) == set(FIELDS) - {
        'size', 'scales', 'matching', 'void', 'checkpoint', 'labels'}


def test_the_document_has_these_cards():
    with open(f'{ROOT}/docs/protocols.md', encoding='utf-8') as file:
        text = file.read()
    for card in CARDS.values():
        crf = 'none' if card.crf is None else f'{1 / card.crf["temperature"]:g} x'
        cells = [f'`{card.name}`', card.resize, card.frame, 'yes' if card.flip else 'no', card.enlarged, crf,
                 card.extra_clusters, card.absent_classes, card.checkpoint, card.labels]
        assert f'| {" | ".join(cells)} |' in text and (card.size, card.scales) == (320, None)
