"""The evaluation of the field from tokens to scores, beside what STEGO's released code gives (arXiv 2203.08414).

``stego_eval.npz`` is of its eval_segmentation.py and crf.py, pydensecrf2 1.1; ``stego_metrics.npz`` of its utils.py.
"""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_unsup.evaluation.metrics import ClusterIoUMetric
from mmseg_unsup.registry import MODELS
from ..facts import facts

MEAN, STD = (255 * np.array(values) for values in ([.485, .456, .406], [.229, .224, .225]))
SIZE, IGNORED = 40, 255


@MODELS.register_module()
class TokensOfFacts(nn.Module):
    """A backbone that knows one image, and the one flipped."""
    output_names = ('tokens', )

    def __init__(self):
        super().__init__()
        self.image, arrays = None, facts('stego_eval')
        straight, flipped = (torch.from_numpy(arrays[name]) for name in ('tokens', 'tokens_flipped'))
        self.maps = [tokens[:, 1:].transpose(1, 2).reshape(1, -1, 5, 5) for tokens in (straight, flipped)]

    def named_outputs(self, images, names):
        is_straight, is_flipped = (torch.equal(images, image) for image in (self.image, self.image.flip(3)))
        assert is_straight != is_flipped
        return dict(tokens=self.maps[int(is_flipped)])


@MODELS.register_module()
class EnlargedCodes(nn.Module):
    """A linear layer and one with a hidden layer side by side; codes of pixels, not of cells, are compared."""

    def __init__(self):
        super().__init__()
        self.cluster1 = nn.Sequential(nn.Conv2d(16, 6, 1))
        self.cluster2 = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 6, 1))

    def forward(self, maps):
        codes = self.cluster1(maps[-1]) + self.cluster2(maps[-1])
        return F.interpolate(codes, (SIZE, SIZE), mode='bilinear', align_corners=False),


@pytest.fixture
def arrays():
    return facts('stego_eval')


def model_of(arrays, **test_cfg):
    """The scores are cosines, which the released code doubles before the softmax: a temperature of 1/2."""
    model = MODELS.build(dict(
        type='mmseg_unsup.FrozenSegmentor',
        data_preprocessor=dict(type='mmseg_unsup.MultiViewDataPreProcessor', mean=MEAN.tolist(), std=STD.tolist()),
        backbone=dict(
            type='mmseg_unsup.FrozenBackbone', backbone=dict(type='mmseg_unsup.TokensOfFacts'), out=['tokens']),
        neck=dict(type='mmseg_unsup.EnlargedCodes'),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5,
                         clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet'))),
        test_cfg=ConfigDict(mode='whole', cluster_sets=['cluster'], flip=True, **test_cfg)))
    state = {name: torch.from_numpy(arrays[name]) for name in model.neck.state_dict()}
    model.neck.load_state_dict(state)
    model.clusters['cluster'].weight.data = torch.from_numpy(arrays['clusters'])
    return model.eval()


def image_of(arrays) -> torch.Tensor:
    """(1, 3, H, W), normalised; the released code makes whole numbers of its pixels by cutting them off."""
    mean, std = (torch.from_numpy(values).float()[:, None, None] for values in (MEAN, STD))
    pixels = (torch.from_numpy(arrays['img']) * std + mean).clamp(0, 255).floor()
    return (pixels - mean) / std


def predicted(model, image, name) -> np.ndarray:
    model.backbone.network.image = image
    meta = dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE))
    with torch.no_grad():
        sample, = model.predict(image, [SegDataSample(metainfo=meta)])
    return sample.get(f'pred_sem_seg_{name}').data[0].numpy()


def test_flip_average_codes_and_clusters(arrays):
    model, image = model_of(arrays), image_of(arrays)
    np.testing.assert_array_equal(predicted(model, image, 'cluster'), arrays['pred_no_crf'][0])
    with torch.no_grad():
        codes, scores = model.averaged_feat(image)[0], model.cluster_scores(image)
    np.testing.assert_allclose(codes, arrays['code_up'], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((2 * scores).log_softmax(1), arrays['log_probs'], rtol=1e-5, atol=1e-6)


def test_the_crf_of_the_released_code(arrays):
    pytest.importorskip('pydensecrf')
    model, image = model_of(arrays, crf=dict(cluster=dict(temperature=0.5))), image_of(arrays)
    np.testing.assert_array_equal(predicted(model, image, 'cluster_crf'), arrays['crf_pred'])
    with torch.no_grad():
        scores = model.cluster_scores(image)[0].numpy()
    found = model.crfs['cluster'](model.rgb_image(image[0]), scores)
    np.testing.assert_allclose(found, arrays['crf_q'], atol=1e-5)


def scores_of(labels: np.ndarray, clusters: np.ndarray, **settings):
    metric = ClusterIoUMetric(show_table=False, **settings)
    metric.dataset_meta = dict(classes=tuple('abcd'))
    labels = np.where(labels < 0, IGNORED, labels)
    metric.process({}, [dict(gt_sem_seg=dict(data=torch.from_numpy(label)[None]), pred_sem_seg=dict(
        data=torch.from_numpy(ids)[None])) for label, ids in zip(labels, clusters)])
    return metric.compute_metrics(metric.results), metric


@pytest.mark.parametrize('case', ['matched', 'linear', 'empty_cluster'])
def test_scores_over_the_whole_set(case):
    arrays = {name.rpartition('/')[2]: array for name, array in facts('stego_metrics').items()
              if name == 'label' or name.startswith(f'{case}/')}
    found, metric = scores_of(arrays['label'], arrays['pred'], match='identity' if case == 'linear' else 'hungarian')
    assert found['mIoU'] == pytest.approx(arrays['mIoU'], abs=1e-4)
    assert found['aAcc'] == pytest.approx(arrays['Accuracy'], abs=1e-4)
    n_clusters = metric.confusion.shape[1]  # a cluster without pixels has no column
    np.testing.assert_array_equal(metric.confusion.T, arrays['stats'][:n_clusters])
    if case != 'linear':
        np.testing.assert_array_equal(metric.cluster_to_class, arrays['assign_cols'][:n_clusters])


def test_where_the_released_scores_are_others():
    """They drop the pixels of clusters beyond the classes, and count a class that has no labels as one of IoU 0."""
    arrays = facts('stego_metrics')
    label, clusters = arrays['label'], arrays['extra2/pred']
    kept, _ = scores_of(np.where(clusters < 4, label, -1), clusters)
    assert kept['aAcc'] == pytest.approx(arrays['extra2/Accuracy'], abs=1e-4)
    assert kept['mIoU'] == pytest.approx(arrays['extra2/mIoU'], abs=1e-4)
    assert scores_of(label, clusters)[0]['aAcc'] == pytest.approx(57.9, abs=0.05)
    absent, metric = scores_of(arrays['absent_class/label'], arrays['matched/pred'])
    np.testing.assert_array_equal(metric.confusion.T, arrays['absent_class/stats'])
    assert absent['aAcc'] == pytest.approx(arrays['absent_class/Accuracy'], abs=1e-4)
    assert absent['mIoU'] * 3 / 4 == pytest.approx(arrays['absent_class/mIoU'], abs=1e-4)
