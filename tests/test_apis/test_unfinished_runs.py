"""Checkpoints from before the first evaluation, from inside an epoch, and from between two evaluations."""
import logging

import cv2
import pytest
import torch

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.apis.loading import load_segmentor
from ..test_engine.resuming import resumable_config, terminate, train
from ..test_engine.tiny import tiny_config
from .tiny_models import tiny_model

pytestmark = pytest.mark.filterwarnings('ignore')
SETS = ['fresh', 'view1', 'view2']


def test_training_clusters_predict_where_there_are_no_fresh_ones():
    model = tiny_model('PiCIE')
    for asked, given in ((SETS, SETS[1:]), (SETS[:1], ['view1']), (['view2', 'fresh'], ['view2'])):
        model.test_cfg.cluster_sets = asked
        assert model.predicted_sets == given
    model.test_cfg.cluster_sets = SETS
    model.clusters['fresh'].fit(torch.randn(3, 16))
    assert model.predicted_sets == SETS and model.n_predicted == 3
    model.clusters['fresh'].fit(None)
    for name in SETS[1:]:
        model.clusters[name].fit(torch.zeros(5, 16), torch.zeros(5))
    with pytest.raises(RuntimeError, match="the cluster set 'fresh' has not been fitted"):
        model.cluster_identity()


def test_the_notice_comes_once(monkeypatch):
    told = []
    monkeypatch.setattr('mmseg_unsup.models.segmentors.cluster_segmentor.say',
                        lambda text, level: told.append((text, level)))
    model = tiny_model('PiCIE')
    model.test_cfg.cluster_sets = SETS
    for _ in range(3):
        assert model.cluster_identity()[:2] == ('view1', 5)
    (text, level), = told
    assert 'those of the training predict, view1, view2' in text and level == logging.WARNING


def test_exporters_need_not_follow_the_choice():
    model = tiny_model('PiCIE')
    model.test_cfg.cluster_sets = SETS

    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = model.decode_head

        def forward(self, feats):
            return self.head((feats, ), model.predicted_sets[:1])

    feats = torch.randn(1, 16, 4, 4)
    exported = torch.export.export(Head(), (feats, ), strict=False)
    torch.testing.assert_close(exported.module()(feats), model.decode_head((feats, ), ['view1']))


def test_every_checkpoint_of_a_stopped_run_predicts(image_folder, tmp_path):
    """Epoch 1 of a run that evaluates at its end only, and the middle of epoch 2."""
    options = dict(train_cfg__val_interval=2, model__test_cfg__cluster_sets=SETS)
    seen = []

    def stop_in_the_second_epoch():
        seen.append(None)
        if len(seen) == 2:
            terminate()

    train(resumable_config('picie', image_folder, tmp_path, **options), ('train', 1, True), stop_in_the_second_epoch)
    cfg = tiny_config(image_folder, tmp_path, **options)
    image = cv2.imread(f'{image_folder}/{1:012d}.jpg')
    for name in ('epoch_1.pth', 'preempted.pth'):
        model = load_segmentor(cfg, str(tmp_path / name))[1]
        assert [model.clusters[name].is_fitted for name in SETS] == [False, True, True]
        inferencer = UnsupInferencer(cfg, str(tmp_path / name), show_progress=False)
        ids = inferencer(image)['predictions'][0]['ids']
        assert inferencer.cluster_names.cluster_set == 'view1' and len(inferencer.names) == 3
        assert ids.shape == image.shape[:2] and 0 <= ids.min() <= ids.max() < 3
