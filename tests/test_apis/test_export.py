import json
import os
import os.path as osp
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import revert_sync_batchnorm
from mmengine.utils import digit_version

from mmseg_unsup.apis import ClusterNames, UnsupInferencer, export
from mmseg_unsup.apis.export import ExportedSegmentor, export_segmentor
from mmseg_unsup.clustering import MiniBatchKMeans
from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.atomic import replacing
from mmseg_unsup.utils.config import load_config
from ..conftest import smooth_image
from ..test_tools.test_train_and_test import config
from ..test_utils.test_atomic import file_limit
from .tiny_models import METHODS, tiny_model

SIZES = ((64, 80), (64, 80), (90, 70))
PREDICTION = dict(PiCIE=dict(scales=[1.4]))  # as its configs do


def pictures():
    rng = np.random.default_rng(0)
    return [smooth_image(rng, *size)[..., ::-1] for size in SIZES]


def expected(model, image):
    """(H, W) ids of an (H, W, 3) RGB image by the steps of the inferencer."""
    data = dict(inputs=[torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)])
    with torch.no_grad():
        scores = model.cluster_scores(model.data_preprocessor(data, False)['inputs'])
    return F.interpolate(scores, image.shape[:2], mode='bilinear')[0].argmax(0).numpy()


# runs where neither this package nor torch can be imported
STANDALONE = '''
import sys
sys.modules['torch'] = sys.modules['mmseg_unsup'] = None
import numpy as np, onnxruntime
image = np.load(sys.argv[2])[None].transpose(0, 3, 1, 2).astype('float32')
ids, similarity = onnxruntime.InferenceSession(sys.argv[1]).run(None, {'image': image})
np.savez(sys.argv[3], ids=ids, similarity=similarity)
'''


@pytest.mark.parametrize('method', METHODS)
def test_onnx_runs_without_this_package(method, tmp_path):
    model, path = tiny_model(method, **PREDICTION.get(method, {})), str(tmp_path / 'model.onnx')
    assert export_segmentor(model, path, pictures()) >= 0.999
    assert [file.name for file in tmp_path.iterdir()] == ['model.onnx']
    rng = np.random.default_rng(1)
    for size in ((64, 80), (77, 101)):  # the second one was not seen by the export
        image = np.ascontiguousarray(smooth_image(rng, *size)[..., ::-1])
        np.save(tmp_path / 'image.npy', image)
        subprocess.run([sys.executable, '-c', STANDALONE, path, str(tmp_path / 'image.npy'), str(tmp_path / 'out.npz')],
                       check=True)
        found = np.load(tmp_path / 'out.npz')
        reference = expected(model, image)
        assert len(np.unique(reference)) > 1
        assert found['ids'].shape == found['similarity'].shape == (1, *size)
        assert (found['ids'][0] == reference).mean() >= 0.999


def test_onnx_alone_predicts_street_scenes(camvid_root, resnet18_weights, tmp_path):
    """A ResNet-18 with ImageNet weights and clusters of its own features, on photographs at the size of the config."""
    cfg = load_config(config('picie_fpn_camvid'), {'init': resnet18_weights})
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model = revert_sync_batchnorm(model).eval()
    paths = sorted(os.listdir(osp.join(camvid_root, 'images', 'val')))[::20]
    images = [cv2.resize(cv2.imread(osp.join(camvid_root, 'images', 'val', path)), (214, 160)) for path in paths]
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(inputs=[torch.from_numpy(image).permute(2, 0, 1) for image in images]))
        cells = model.forward_maps(inputs['inputs']).feats['features'].permute(0, 2, 3, 1).flatten(0, 2)
    kmeans = MiniBatchKMeans(11, spherical=True)
    kmeans.init(cells, cells[torch.randperm(len(cells))[:11 * kmeans.n_init]].view(kmeans.n_init, 11, -1))
    model.clusters['fresh'].fit(kmeans.cluster_centers_)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'model.pth')
    rgb = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    assert export_segmentor(model, str(tmp_path / 'model.onnx'), rgb[:1]) >= 0.999
    np.save(tmp_path / 'images.npy', np.stack(rgb))
    subprocess.run([sys.executable, '-c', STANDALONE.replace('[None]', ''), str(tmp_path / 'model.onnx'),
                    str(tmp_path / 'images.npy'), str(tmp_path / 'out.npz')], check=True)
    inferencer = UnsupInferencer(cfg, str(tmp_path / 'model.pth'), device='cpu', show_progress=False)
    expected = np.stack([found['ids'] for found in inferencer(images)['predictions']])
    assert len(np.unique(expected)) == 11
    assert (np.load(tmp_path / 'out.npz')['ids'] == expected).mean() >= 0.999


LOADERS = {'.ts': torch.jit.load, '.pt2': lambda path: torch.export.load(path).module()}
# torch.export takes half a minute
FORMATS = [pytest.param(method, suffix, marks=[pytest.mark.long] * (suffix == '.pt2'))
           for method in METHODS for suffix in LOADERS]


@pytest.mark.parametrize('method, suffix', FORMATS)
def test_torch_formats(method, suffix, tmp_path):
    model, path = tiny_model(method, **PREDICTION.get(method, {})), str(tmp_path / f'model{suffix}')
    try:
        assert export_segmentor(model, path, pictures()) >= 0.999
    except ValueError as error:
        if suffix == '.pt2' and digit_version(torch.__version__) < digit_version('2.13'):
            pytest.skip(str(error))  # older releases of torch.export, such as 2.4, do not follow the sizes
        raise
    batch = torch.rand(3, 3, 96, 70) * 255
    with torch.no_grad():
        ids, similarity = LOADERS[suffix](path)(batch)
        reference = ExportedSegmentor(model)(batch)
    assert (ids == reference[0]).float().mean() >= 0.999
    torch.testing.assert_close(similarity, reference[1], atol=1e-4 * float(reference[1].abs().max()), rtol=0)


def test_named_classes_are_in_the_file(tmp_path):
    onnx = pytest.importorskip('onnx')
    model, path = tiny_model('PiCIE'), str(tmp_path / 'model.onnx')
    names = ClusterNames.identity(*model.cluster_identity()).merged([[0, 3]]).renamed({0: 'Straße', 1: 'sky'})
    export_segmentor(model, path, pictures(), names, metadata=dict(size='64'))
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts['names']) == names.names and json.loads(facts['palette']) == names.palette.tolist()
    assert facts['size'] == '64' and facts['fingerprint'] == model.cluster_identity()[2]
    ids, _ = export._onnx_predict(path)(pictures()[0][None].transpose(0, 3, 1, 2).astype(np.float32))
    assert (ids[0] == names.table[expected(model, pictures()[0])]).mean() >= 0.999
    torch_path, extra = str(tmp_path / 'model.ts'), {'metadata.json': ''}
    export_segmentor(model, torch_path, pictures(), names)
    torch.jit.load(torch_path, _extra_files=extra)
    assert json.loads(json.loads(extra['metadata.json'])['names']) == names.names


@pytest.mark.parametrize('opset', [11, 20])
def test_opsets(opset, tmp_path):
    onnx = pytest.importorskip('onnx')
    export_segmentor(tiny_model('PiCIE'), str(tmp_path / 'model.onnx'), pictures(), opset=opset)
    assert onnx.load(tmp_path / 'model.onnx').opset_import[0].version == opset


@pytest.mark.parametrize('change, message', [
    (dict(opset=9), 'opset 9 is not supported: choose one from 11 to 20'),
    (dict(opset=21), 'opset 21 is not supported'),
    (dict(images=[]), 'there is none: give a folder'),
    (dict(name='model.tflite'), 'the suffix says the format, .onnx is ONNX'),
])
def test_bad_input_leaves_the_old_file(change, message, tmp_path):
    path = tmp_path / change.pop('name', 'model.onnx')
    path.write_text('old')
    with pytest.raises(ValueError, match=message):
        export_segmentor(tiny_model('PiCIE'), str(path), **dict(dict(images=pictures()), **change))
    assert path.read_text() == 'old' and len(list(tmp_path.iterdir())) == 1


def test_a_file_that_differs_from_pytorch_is_not_put_in_place(tmp_path, monkeypatch):
    path = tmp_path / 'model.onnx'
    path.write_text('old')

    def other(path):
        return lambda batch: (np.zeros((len(batch), *batch.shape[2:]), np.int64), None)

    monkeypatch.setattr(export, '_onnx_predict', other)
    with pytest.raises(ValueError, match=r'was not written: the ONNX model gives \d+\.\d+ % of the pixels of 3 images'):
        export_segmentor(tiny_model('PiCIE'), str(path), pictures())
    assert path.read_text() == 'old' and len(list(tmp_path.iterdir())) == 1


class Pair(torch.nn.Conv2d):
    """Two outputs and 38 kB of weights."""

    def forward(self, image):
        return super().forward(image), image


@pytest.mark.parametrize('suffix', export.SUFFIXES)
def test_a_full_disk_is_one_error_with_the_path(suffix, tmp_path):
    """Torch's own writers end the process where a file cannot be written."""
    path = tmp_path / f'model{suffix}'
    path.write_text('old')
    with file_limit(30_000), pytest.raises(OSError, match=f'File too large: .*: {re.escape(repr(str(path)))}$'):
        with replacing(str(path)) as part:
            export._WRITERS[suffix](Pair(3, 64, 7).eval(), part, torch.rand(1, 3, 64, 64), {}, export.DEFAULT_OPSET)
    assert path.read_text() == 'old' and len(list(tmp_path.iterdir())) == 1


def test_weights_that_do_not_fit_onnx(tmp_path, monkeypatch):
    monkeypatch.setattr(export, '_ONNX_BYTES', 1000)
    with pytest.raises(ValueError, match=r'model.onnx would have .* GiB of weights, but .*: write .ts or .pt2'):
        export_segmentor(tiny_model('PiCIE'), str(tmp_path / 'model.onnx'), pictures())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('settings, message', [
    (dict(objects='components'), "model.test_cfg.objects='components' cannot be exported"),
    (dict(pool='mean', prior=dict(type='mmseg_unsup.RBDPrior')), 'model.test_cfg.prior='),
])
def test_what_a_network_cannot_do_is_refused(settings, message):
    model = tiny_model('MaskContrast')
    model.test_cfg.update(settings)
    model.prior = settings.get('prior')
    with pytest.raises(ValueError, match=message):
        ExportedSegmentor(model)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(ImportError, match=r'pip install "mmseg-unsup\[onnx\]"'):
        export_segmentor(tiny_model('PiCIE'), str(tmp_path / 'model.onnx'), pictures())
    assert not list(tmp_path.iterdir())


def test_what_torch_export_cannot_follow(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.export, 'export', lambda *args, **kwargs: (_ for _ in ()).throw(RuntimeError('a\nb')))
    with pytest.raises(ValueError, match=r'cannot follow this model at any size \(a\): use a later torch'):
        export_segmentor(tiny_model('PiCIE'), str(tmp_path / 'model.pt2'), pictures())
    assert not list(tmp_path.iterdir())
