"""A CRF on the scores of any set of clusters is ``DenseCRF`` applied by hand."""
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmseg.structures import SegDataSample

from mmseg_unsup.functional import class_map
from mmseg_unsup.functional.dense_crf import DenseCRF
from mmseg_unsup.registry import MODELS
from ..conftest import smooth_image
from ..test_apis.tiny_models import model_config, tiny_model
from .test_object_segmentor import described

SETTINGS, SIZE = dict(temperature=0.05, n_iter=3), (48, 64)
METAS = dict(img_shape=SIZE, ori_shape=(60, 72))


def with_crf(method: str, crf: dict, **test_cfg):
    """With the weights of :func:`tiny_model`."""
    config = model_config(method)
    torch.manual_seed(0)
    model = MODELS.build(dict(config, test_cfg=ConfigDict(config['test_cfg'], crf=crf, **test_cfg)))
    model = revert_sync_batchnorm(model).eval()
    model.load_state_dict(tiny_model(method).state_dict())
    return model


@pytest.mark.parametrize('method, name', [('PiCIE', 'view2'), ('MaskContrast', 'objects')])
def test_a_set_after_a_crf(method, name, monkeypatch):
    if find_spec('pydensecrf') is None:  # then something else that reads the image and all scores
        monkeypatch.setattr('mmseg_unsup.functional.dense_crf.find_spec', lambda name: True)
        monkeypatch.setattr(DenseCRF, '__call__', lambda crf, image, scores: (
            np.roll(scores, 9, 2) + crf.temperature * image.mean(2) / 255 * (1 - scores.argsort(0))))
    model = with_crf(method, {name: SETTINGS}, **(dict(cluster_sets=['view1', name]) if method == 'PiCIE' else {}))
    assert model.predictions == [*model.predicted_sets, f'{name}_crf']
    rng = np.random.default_rng(3)
    images = [np.ascontiguousarray(smooth_image(rng, *SIZE)) for _ in range(2)]
    batch = model.data_preprocessor(dict(inputs=[torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
                                                 for image in images]))['inputs']
    with torch.no_grad():
        found = model.predict(batch, [SegDataSample(metainfo=METAS) for _ in images])
        if method == 'PiCIE':
            grids, names = model.decode_head(model.extract_feat(batch), [name]), [range(5)] * 2
        else:  # background and the one object of an image, which has the cluster of its descriptor
            feats, margin = model._read_maps(batch)
            grids = torch.stack([torch.zeros_like(margin), margin], 1)
            names = [[0, *(1 + model.cluster_objects(rows))] for rows in described(model, batch)]
    for sample, image, grid, of_image in zip(found, images, grids, names):
        scores = F.interpolate(grid[None], SIZE, mode='bilinear', align_corners=False)[0]
        refined = class_map(torch.from_numpy(DenseCRF(**SETTINGS)(image, scores.numpy())), METAS)
        expected = torch.tensor([int(k) for k in of_image])[refined.long()]
        after, before = (sample.get(f'pred_sem_seg_{key}').data[0].long() for key in (f'{name}_crf', name))
        assert torch.equal(after, expected) and len(after.unique()) > 1 and not torch.equal(after, before)


@pytest.mark.parametrize('method, test_cfg, known', [
    ('PiCIE', {}, "'fresh', 'view1', 'view2'"), ('PiCIE', dict(cluster_sets=['fresh', 'view1']), "'fresh', 'view1'"),
    ('MaskContrast', {}, "'objects'")])
def test_a_crf_of_no_set(method, test_cfg, known, monkeypatch):
    monkeypatch.setattr('mmseg_unsup.functional.dense_crf.find_spec', lambda name: True)
    model = with_crf(method, dict(view3=None), **test_cfg)
    with pytest.raises(ValueError, match=rf"test_cfg.crf names the set 'view3', but .* are \[{known}\]: name one"):
        model.predict(torch.zeros(1, 3, *SIZE), [SegDataSample(metainfo=METAS)])
