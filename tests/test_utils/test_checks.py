"""Every number in a config is checked when the config is built, and the sentence has the key and the value."""
import argparse
import math

import pytest

from mmseg_unsup.clustering import MiniBatchKMeans, StreamingKMeans
from mmseg_unsup.functional.dense_crf import DenseCRF
from mmseg_unsup.engine.hooks import (ClusterPicturesHook, FreshKMeansHook, NonFiniteHook, ObjectClusteringHook,
                                      PCAInitHook, PixelClusteringHook)
from mmseg_unsup.evaluation.metrics import ObjectKMeansMetric, RepeatedIoUMetric
from mmseg_unsup.evaluation.probes import DenseKNNProbe, KMeansProbe, LinearProbe, SegmentRetrievalProbe
from mmseg_unsup.models.clusters import ClassifierSet
from mmseg_unsup.models.decode_heads import ClusterHead
from mmseg_unsup.models.losses import MaskNCELoss
from mmseg_unsup.utils.checks import at_least, check_count, check_counts, check_positive, check_share

# what takes counts -> the other arguments, and the counts with the least that each may be
COUNTS = [
    (ClusterHead, dict(in_channels=4, n_clusters=3), dict(n_clusters=2)),
    (ClassifierSet, dict(in_channels=4, n_clusters=3), dict(n_clusters=2, num_sub_heads=1)),
    (MiniBatchKMeans, dict(n_clusters=3), dict(n_clusters=1, n_iter=1, n_init=1, coarse=1, n_refine=1, chunk_bytes=1)),
    (StreamingKMeans, dict(models=[], n_images=9, init_images=9, update_images=9),
     dict(n_images=1, init_images=1, update_images=1, init_pixels=1)),
    (PixelClusteringHook, {}, dict(interval=1, init_images=1, update_images=1, init_pixels=1)),
    (FreshKMeansHook, dict(n_clusters=3), dict(n_clusters=1, init_images=1, update_images=1, init_pixels=1)),
    (ObjectClusteringHook, {}, dict(n_clusters=1)),
    (ClusterPicturesHook, {}, dict(n_images=1, images_per_row=1)),
    (NonFiniteHook, {}, dict(max_skips=0)),
    (PCAInitHook, {}, dict(n_pixels=1)),
    (ObjectKMeansMetric, {}, dict(n_clusters=1, repeats=1)),
    (RepeatedIoUMetric, dict(prediction='fresh'), dict(repeats=2)),
    (KMeansProbe, {}, dict(n_clusters=1, repeats=1, init_images=1, update_images=1, init_pixels=1)),
    (LinearProbe, dict(epochs=5), dict(max_cells=1, epochs=1, batch_size=1, stages=1)),
    (DenseKNNProbe, {}, dict(k=1, max_cells=1, block_bytes=1, void_class=0)),
    (SegmentRetrievalProbe, {}, dict(k=1, max_segments=1)),
    (DenseCRF, {}, dict(n_iter=1)),
]
POSITIVE = [(DenseKNNProbe, 'temperature'), (SegmentRetrievalProbe, 'temperature'), (DenseCRF, 'temperature'),
            (LinearProbe, 'lr'), (MaskNCELoss, 'temperature')]


@pytest.mark.parametrize('kind, others, counts', COUNTS, ids=lambda value: getattr(value, '__name__', None))
def test_counts(kind, others, counts):
    for name, low in counts.items():
        for value in (low - 1, low + 0.5, 'many', True, math.nan):
            with pytest.raises(ValueError, match=f'{name}(| .*) must be at least {low}.*, but it is {value!r}$'):
                kind(**dict(others, **{name: value}))


@pytest.mark.parametrize('kind, name', POSITIVE, ids=lambda value: getattr(value, '__name__', None))
def test_positive_numbers(kind, name):
    for value in (0, -1., math.nan, math.inf, '0.1'):
        with pytest.raises(ValueError, match=f'{name}(| of the .*) must be a positive number, but it is {value!r}$'):
            kind(**{name: value})


def test_numbers_of_a_command_line():
    assert at_least(0)('0') == 0 and at_least(1)(' 12') == 12
    for text in ('0', '-1', '1.0', '', 'one', '1e3'):
        with pytest.raises(argparse.ArgumentTypeError, match=f'^it must be .* at least 1, but it is {text!r}$'):
            at_least(1)(text)


def test_what_is_right_passes():
    check_count('name', 2, low=2)
    check_counts(low=0, one=0, other=10**9)
    check_positive('name', 1e-9)
    check_share('name', 1)
    with pytest.raises(ValueError, match='^other must be at least 1 and a whole number, but it is 2.5$'):
        check_counts(one=1, other=2.5)
