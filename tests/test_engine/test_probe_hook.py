"""Probes through the runner, on images whose colour is their class, and a network that was never trained."""
import importlib
import itertools
import os.path as osp
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_unsup.functional import class_map
from mmseg_unsup.utils.config import load_config, merge_options
from ..conftest import NO_WORKERS, ROOT, run_log, run_tool
from ..test_tools.test_distributed import launch, scores
from ..test_tools.test_train_and_test import SMALL
from .resuming import count_batches

_count = itertools.count()
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]] + [[128, 128, 128]] * 8)
OPTIONS = [
    *NO_WORKERS, *SMALL, 'labelled_probe_dataloader.num_workers=0', 'labelled_probe_dataloader.batch_size=4',
    'test_dataloader.batch_size=2',
    'model.target_generator.epochs=None', 'model.over_clustering=[]', 'model.test_cfg.cluster_sets=["fresh"]',
    'default_hooks.fresh_kmeans.kmeans.n_init=1'
]


@pytest.fixture
def root(tmp_path):
    """CamVid's layout: 7 training and 5 validation images of two sizes, three colours, a void border."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 7), ('val', 5)):
        for folder in ('images', 'labels'):
            (tmp_path / 'camvid' / folder / split).mkdir(parents=True)
        for i in range(count):
            labels = np.kron(rng.integers(0, 3, (2, 3)), np.ones((40, 40 + 4 * (i % 2)))).astype(np.uint8)
            image = COLOURS[labels] + rng.integers(-20, 20, (*labels.shape, 3))
            labels[:5] = 255
            cv2.imwrite(str(tmp_path / 'camvid' / 'images' / split / f'{i}.jpg'), image.astype(np.uint8))
            cv2.imwrite(str(tmp_path / 'camvid' / 'labels' / split / f'{i}.png'), labels)
    return tmp_path / 'camvid'


def probe_runner(root, work_dir, probes=None, metrics=None, **options):
    """A runner of camvid_probes.py made small; ``options`` are dotted keys with ``__`` for the dots."""
    values = {key: eval(value, dict(true=True)) if re.match(r'[\[\d]|None|False', value) else value
              for key, value in (option.split('=', 1) for option in OPTIONS)}
    values.update(data_root=str(root), **{key.replace('__', '.'): value for key, value in options.items()})
    cfg = load_config(osp.join(ROOT, 'configs', 'probe', 'camvid_probes.py'))
    merge_options(cfg, values)
    if probes is not None:
        cfg.default_hooks.probes.probes = [dict(probe, type=f'mmseg_unsup.{probe["type"]}') for probe in probes]
        cfg.test_evaluator = [dict(metric, type=f'mmseg_unsup.{metric.get("type", "ClusterIoUMetric")}')
                              for metric in metrics]
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'probe_{next(_count)}'
    return Runner.from_cfg(cfg)


class Keep(Hook):
    """Holds the predictions of the test."""

    def __init__(self):
        self.samples = []

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.samples += outputs


LINEAR = dict(type='LinearProbe', epochs=60, batch_size=32)
KNN = dict(type='DenseKNNProbe', k=5)
KMEANS = dict(type='KMeansProbe', n_clusters=4)


def scored(name, match='identity', **kwargs):
    return dict(prediction=name, match=match, prefix=name, show_table=False, **kwargs)


def test_probes_read_frozen_features_in_one_pass(root, tmp_path):
    probes = [LINEAR, KNN, dict(type='KMeansProbe', name='over', n_clusters=8),
              dict(type='KMeansProbe', repeats=2, n_clusters=3), dict(type='SegmentRetrievalProbe')]
    metrics = [scored('linear'), scored('knn'), scored('retrieval'), scored('over', 'majority'),
               scored('fresh', 'hungarian'),
               dict(type='RepeatedIoUMetric', prediction='kmeans', repeats=2, prefix='kmeans')]
    runner = probe_runner(root, tmp_path / 'run', probes, metrics)
    runner.model.clusters['fresh'].fit(torch.eye(11, 16))  # as if the checkpoint had brought them
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    batches = []
    runner.model.backbone.register_forward_hook(lambda module, inputs, outputs: batches.append(len(inputs[0])))
    found = runner.test()
    assert batches == [4, 3, 2, 2, 1]  # the training images, the test images
    after = runner.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert all(param.grad is None for param in runner.model.parameters())
    assert found['linear/aAcc'] > 90 and found['knn/aAcc'] > 80
    assert found['retrieval/aAcc'] > 60  # segments of arbitrary prototypes; chance is a third
    assert {'over/mIoU', 'fresh/mIoU', 'kmeans/mIoU', 'kmeans/mIoU_std'} <= set(found)
    assert runner.model.probes == []


def test_the_probe_with_the_settings_of_the_hook_is_the_fresh_set(root, tmp_path):
    """The same centres, and the same maps as mmseg's way to make them."""
    probe = dict(type='KMeansProbe', name='same', kmeans=dict(n_iter=20, n_init=1))
    runner = probe_runner(root, tmp_path / 'run', [probe], [scored('same', 'hungarian')])
    keep = Keep()
    runner.register_hook(keep)
    runner.test()
    assert len(keep.samples) == 5
    for sample in keep.samples:
        assert torch.equal(sample.pred_sem_seg_same.data.long(), sample.pred_sem_seg.data)
        assert len(sample.pred_sem_seg.data.unique()) > 2


def test_class_map_in_blocks_with_padding_and_flip(monkeypatch):
    scores = torch.randn(7, 5, 6)
    meta = dict(img_shape=(20, 24), pad_shape=(22, 28), padding_size=[1, 3, 2, 0], ori_shape=(33, 31), flip=True,
                flip_direction='horizontal')
    whole = class_map(scores, meta)
    enlarged = torch.nn.functional.interpolate(scores[None], (22, 28), mode='bilinear')[..., 2:, 1:25].flip(3)
    expected = torch.nn.functional.interpolate(enlarged, (33, 31), mode='bilinear')[0].argmax(0)
    assert torch.equal(whole.long(), expected)
    module = importlib.import_module('mmseg_unsup.functional.class_map')  # the package exports the function
    monkeypatch.setattr(module, '_BLOCK_BYTES', 33 * 31 * 4 * 2)
    assert torch.equal(class_map(scores, meta), whole)


def test_probes_without_labels_use_the_ordinary_loader(root, tmp_path):
    runner = probe_runner(root, tmp_path, [KMEANS], [scored('kmeans', 'majority')])
    runner.cfg.pop('labelled_probe_dataloader')
    assert runner.test()['kmeans/aAcc'] > 60


def test_the_crf_predicts_a_second_map(root, tmp_path):
    pytest.importorskip('pydensecrf')
    runner = probe_runner(root, tmp_path, [dict(LINEAR, crf=True)], [scored('linear'), scored('linear_crf')])
    found = runner.test()
    assert found['linear_crf/aAcc'] > 85 and found['linear_crf/aAcc'] != found['linear/aAcc']


def test_probes_in_validation_follow_the_weights(root, tmp_path):
    runner = probe_runner(root, tmp_path, [KMEANS], [], default_hooks__probes__on_val=True,
                          val_evaluator=[dict(type='mmseg_unsup.ClusterIoUMetric', match='majority',
                                              prediction='kmeans')], test_evaluator=[],
                          default_hooks__initial_evaluation__type='mmseg_unsup.InitialEvaluationHook',
                          train_cfg__max_epochs=1)
    runner.train()
    log = next(tmp_path.glob('*/*.log')).read_text()
    losses = re.findall(r'probe kmeans: 4 clusters, k-means loss ([\d.]+)', log)
    assert len(losses) == 2 and losses[0] != losses[1]
    assert runner.model.probes == []


def test_what_is_fitted_for_an_evaluation_shares_a_pass(root, tmp_path):
    """Fresh k-means reads the images of the labelled loader beside the probes; retrieval needs its clusters first."""
    passes = {}
    for name, probes in (('shared', [KNN, KMEANS]), ('apart', [KNN, dict(type='SegmentRetrievalProbe')])):
        runner = probe_runner(root, tmp_path / name, probes, [], default_hooks__probes__on_val=True,
                              val_evaluator=[dict(type='mmseg_unsup.ClusterIoUMetric')], test_evaluator=[],
                              probe_dataloader__batch_size=4, train_cfg__max_epochs=1,
                              default_hooks__probes__max_images=5, default_hooks__fresh_kmeans__n_clusters=None)
        seen = count_batches(runner)
        runner.train()
        log = run_log(tmp_path / name)
        passes[name] = (len([phase for phase in seen if phase == ('train', 0, False)]), seen.count(('val', 1, False)),
                        re.findall(r'fresh k-means: loss .*', log), re.findall('seconds per phase: (.*)', log)[-1])
        assert runner.model.probes == [] and len(runner.model.clusters['fresh'].weight) == 11
    assert passes['shared'][2] == passes['apart'][2] and 'fresh k-means, probes' in passes['shared'][3]
    assert passes['apart'][0] == passes['shared'][0] + 2 and passes['shared'][1] == passes['apart'][1]


@pytest.mark.parametrize('options, message', [
    (dict(labelled_probe_dataloader__dataset__with_labels=False),
     'labelled_probe_dataloader would drop the labels: set dataset.with_labels=True'),
    (dict(labelled_probe_dataloader__dataset__dataset__data_prefix=dict(_delete_=True, img_path='images/train')),
     'the data set of labelled_probe_dataloader has no labels: set dataset.dataset.data_prefix.seg_map_path'),
    (dict(labelled_probe_dataloader__dataset__pipeline__1__type='mmseg_unsup.CenterSquareCrop'),
     'the samples of labelled_probe_dataloader have no labels: put mmseg_unsup.LoadLabels after'),
    (dict(labelled_probe_dataloader__dataset__dataset__type='mmseg_unsup.MSRCv2Dataset'),
     'training and test set of the probes have different classes'),
    (dict(test_dataloader__dataset__ignore_index=11), 'ignore different labels, 255 and 11'),
    (dict(model__test_cfg__mode='slide'), "probes and CRFs need whole images: set model.test_cfg.mode='whole'"),
])
def test_a_wrong_protocol_does_not_pass(root, tmp_path, options, message):
    options['default_hooks__check_data__label_maps'] = 0  # it would find some of this too
    with pytest.raises(ValueError, match=message):
        probe_runner(root, tmp_path, [KNN], [scored('knn')], **options).test()


def test_names_loaders_and_labels_that_are_missing(root, tmp_path):
    with pytest.raises(ValueError, match="several probes predict the set 'knn'"):
        probe_runner(root, tmp_path, [KNN, KNN], [scored('knn')])
    with pytest.raises(ValueError, match="the probe set 'view1' has the name of a set of the model"):
        probe_runner(root, tmp_path, [dict(KNN, name='view1')], [scored('view1')]).test()
    runner = probe_runner(root, tmp_path, [KNN], [scored('knn')])
    runner.cfg.pop('labelled_probe_dataloader')
    with pytest.raises(KeyError, match='the config has no labelled_probe_dataloader'):
        runner.test()
    for path in (root / 'labels' / 'train').iterdir():
        cv2.imwrite(str(path), np.full_like(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 255))
    with pytest.raises(ValueError, match="the probe 'knn' found no labelled cell in 7 images"):
        probe_runner(root, tmp_path, [KNN], [scored('knn')]).test()


@pytest.mark.parametrize('lost', ['target_generator.', pytest.param('backbone.layer4.', marks=pytest.mark.long), ''])
def test_a_checkpoint_without_the_features_is_refused(root, tmp_path, lost):
    epochs = 4 if lost == 'target_generator.' else None
    runner = probe_runner(root, tmp_path, [KNN], [scored('knn')], model__target_generator__epochs=epochs)
    state = {key: value for key, value in runner.model.state_dict().items() if not key.startswith(lost)}
    torch.save(dict(state_dict=state) if lost else {'layer1.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    runner._load_from = str(tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='the checkpoint has .* tensors that the features of PiCIE need .*: use the'):
        runner.test()
    torch.save(dict(state_dict=runner.model.state_dict()), tmp_path / 'own.pth')
    runner = probe_runner(root, tmp_path / 'own', [KNN], [scored('knn')])
    runner._load_from = str(tmp_path / 'own.pth')
    runner.test()


def test_the_probes_read_the_weights_that_the_run_predicted_with(root, tmp_path):
    runner = probe_runner(root, tmp_path / 'run', [KNN], [scored('knn')], model__target_generator__epochs=4)
    runner.save_checkpoint(str(tmp_path), 'it.pth', save_optimizer=False, save_param_scheduler=False)
    runner = probe_runner(root, tmp_path / 'test', [KNN], [scored('knn')])
    runner._load_from = str(tmp_path / 'it.pth')
    with pytest.raises(ValueError, match='had model.target_generator.epochs=4, this config has None, .* set '
                       'model.targ'):
        runner.test()


def test_the_shipped_config_at_both_protocols(root, tmp_path, tool):
    """K = 3 classes' worth of cells are few: fewer clusters than the shipped 500, the rest as shipped."""
    runner = probe_runner(root, tmp_path / 'save')
    runner.save_checkpoint(str(tmp_path), 'it.pth', save_optimizer=False, save_param_scheduler=False)
    few = ['default_hooks.probes.probes.2.n_clusters=200', f'data_root={root}', *OPTIONS]
    whole = ['protocol=full_resolution', 'test_dataloader.batch_size=1', 'labelled_probe_dataloader.batch_size=1']
    found = []
    for name, options in (('square', few), ('whole', [*few, *whole])):
        tool('test', f'{ROOT}/configs/probe/camvid_probes.py', tmp_path / 'it.pth', '--work-dir', tmp_path / name,
             '--cfg-options', f'experiment_name={name}', *options)  # by default that of the second
        log = next((tmp_path / name).glob('*/*.log')).read_text()
        found.append(re.search(
            r'kmeans/mIoU_std: [\d.]+.*over500/mIoU: [\d.]+.*linear/mIoU: ([\d.]+).*knn/mIoU: [\d.]+', log))
    assert all(found) and found[0][1] != found[1][1]


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')
def test_two_processes_score_like_one(root, tmp_path):
    """Seven training and five test images: the last rounds are uneven."""
    runner = probe_runner(root, tmp_path / 'save')
    runner.save_checkpoint(str(tmp_path), 'it.pth', save_optimizer=False, save_param_scheduler=False)
    options = ['--cfg-options', f'data_root={root}', 'default_hooks.probes.probes.2.n_clusters=200', *OPTIONS]
    script, checkpoint = f'{ROOT}/configs/probe/camvid_probes.py', tmp_path / 'it.pth'
    run_tool('test.py', script, checkpoint, '--work-dir', tmp_path / 'one', *options)
    launch(tmp_path / 'two', 'dist_test.sh', script, checkpoint, 2, '--work-dir', tmp_path / 'two', *options)
    alone, shared = (scores(run_log(tmp_path / name), 'test') for name in ('one', 'two'))
    assert len(alone) == 1 and alone == shared
