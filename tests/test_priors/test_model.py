"""Networks made here: a config of mmseg, and ONNX files."""
import numpy as np
import pytest
import torch

from mmseg_unsup.priors import ModelPrior
from mmseg_unsup.registry import MODELS

CONFIG = '''
crop_size = (32, 32)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[0., 0., 0.], std=[255., 255., 255.], bgr_to_rgb=True),
    backbone=dict(type='ResNet', depth=18, base_channels=4, num_stages=1, strides=(1, ), dilations=(1, ),
                  out_indices=(0, )),
    decode_head=dict(type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=0, concat_input=False,
                     num_classes=NUM_CLASSES, out_channels=OUT_CHANNELS, threshold=THRESHOLD,
                     loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=USE_SIGMOID)),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
'''
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 56, 3)).astype(np.uint8)


def write_network(folder, classes: int, out_channels: int):
    """Paths of a config and of random weights, and the network."""
    settings = dict(NUM_CLASSES=classes, OUT_CHANNELS=out_channels, THRESHOLD=0.3 if out_channels == 1 else None,
                    USE_SIGMOID=out_channels == 1)
    text = CONFIG
    for name, value in settings.items():
        text = text.replace(name, repr(value))
    path = folder / f'net{out_channels}.py'
    path.write_text(text)
    scope: dict = {}
    exec(text, scope)
    torch.manual_seed(0)
    network = MODELS.build(scope['model'])
    torch.nn.init.normal_(network.decode_head.conv_seg.weight, std=1.)
    network.eval()
    checkpoint = folder / f'net{out_channels}.pth'
    meta = dict(dataset_meta=dict(classes=[str(i) for i in range(classes)], palette=[[0, 0, 0]] * classes))
    torch.save(dict(state_dict=network.state_dict(), meta=meta), checkpoint)
    return str(path), str(checkpoint), network


@torch.no_grad()
def logits_of(network) -> torch.Tensor:
    batch = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None].float() / 255
    logits = network.decode_head(network.backbone(batch))
    return torch.nn.functional.interpolate(logits, IMAGE.shape[:2], mode='bilinear')[0]


@pytest.mark.parametrize('foreground, classes', [(None, [1, 2]), ([2], [2]), ([0, 1], [0, 1])])
def test_foreground_classes_of_a_config(tmp_path, foreground, classes):
    config, checkpoint, network = write_network(tmp_path, 3, 3)
    prior = ModelPrior(config, checkpoint, foreground=foreground)
    expected = logits_of(network).softmax(0)[classes].sum(0).numpy()
    np.testing.assert_allclose(prior.saliency(IMAGE), expected, atol=1e-5)
    assert expected.std() > 0.01


def test_one_channel_is_a_sigmoid(tmp_path):
    config, checkpoint, network = write_network(tmp_path, 2, 1)
    found = ModelPrior(config, checkpoint, weights_labels='own labels')
    np.testing.assert_allclose(found.saliency(IMAGE), logits_of(network)[0].sigmoid().numpy(), atol=1e-5)
    assert found.describe()['labels'] == 'own labels' and found.describe()['parameters']['threshold'] == 0.5


def test_refusals_of_configs(tmp_path):
    config, checkpoint, _ = write_network(tmp_path, 3, 3)
    with pytest.raises(ValueError, match='takes config and checkpoint, or onnx alone: it got config=None'):
        ModelPrior()
    with pytest.raises(ValueError, match='checkpoint=None'):
        ModelPrior(config)
    with pytest.raises(ValueError, match="onnx='b.onnx'"):
        ModelPrior(config, checkpoint, onnx='b.onnx')
    with pytest.raises(FileNotFoundError, match="network '.*none.py' of ModelPrior does not exist"):
        ModelPrior(str(tmp_path / 'none.py'), checkpoint)
    with pytest.raises(ValueError, match=r'foreground=\[3\] of ModelPrior: .*net3.py has the classes 0 to 2'):
        ModelPrior(config, checkpoint, foreground=[3]).saliency(IMAGE)


def test_weights_that_do_not_fit(tmp_path):
    """Masks of a network that is random, wholly or in part, look usable."""
    config, checkpoint, network = write_network(tmp_path, 3, 3)
    state = network.state_dict()
    head = {name: value for name, value in state.items() if name.startswith('decode_head.')}
    wide = dict(state, **{'decode_head.conv_seg.weight': torch.zeros(4, 4, 1, 1)})
    for content, message in (
            (dict(meta={}, state_dict={}), 'holds no tensors'), ({}, 'holds no tensors'),
            (dict(state_dict=head), f'lacks {len(state) - len(head)} of the {len(state)} tensors .* such as backbone'),
            (dict(state_dict=wide), 'lacks 1 of the .*another shape, such as decode_head.conv_seg.weight'),
            (dict(state_dict={f'a.{name}': value for name, value in state.items()}), 'give the checkpoint of this'),
            (dict(state_dict={name: value * torch.nan for name, value in state.items()}), 'no finite numbers')):
        torch.save(content, checkpoint)
        with pytest.raises(ValueError, match=f'net3.pth {message}|{message}'):
            ModelPrior(config, checkpoint)
    torch.save({f'module.{name}': value for name, value in state.items()}, checkpoint)  # without meta, of several GPUs
    np.testing.assert_allclose(ModelPrior(config, checkpoint).saliency(IMAGE),
                               logits_of(network).softmax(0)[1:].sum(0).numpy(), atol=1e-5)
    with pytest.raises(FileNotFoundError, match="network '.*none.pth' of ModelPrior does not exist"):
        ModelPrior(config, str(tmp_path / 'none.pth'))


def write_onnx(path, shape=(1, 3, 16, 24), outputs=1, element=1, function='Sigmoid') -> str:
    """A file that maps the first channel by a function."""
    onnx = pytest.importorskip('onnx')
    from onnx import helper
    inputs = [helper.make_tensor_value_info('image', element, shape)]
    out_shape = [shape[0], 1, *shape[2:]] if len(shape) == 4 else shape
    made = [helper.make_tensor_value_info(f'map{i}', element, out_shape) for i in range(outputs)]
    nodes = [helper.make_node('Split', ['image'], ['a', 'b', 'c'], axis=1, num_outputs=3)] if len(shape) == 4 else []
    nodes += [helper.make_node(function, ['a' if nodes else 'image'], [f'map{i}']) for i in range(outputs)]
    graph = helper.make_graph(nodes, 'saliency', inputs, made)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9), str(path))
    return str(path)




@pytest.mark.parametrize('to_rgb, channel', [(True, 0), (False, 2)])
def test_an_onnx_file(tmp_path, to_rgb, channel):
    pytest.importorskip('onnxruntime')
    path = write_onnx(tmp_path / 'net.onnx')
    image = np.full((40, 56, 3), (200, 120, 30), np.uint8)
    prior = ModelPrior(onnx=path, to_rgb=to_rgb, mean=(10, 20, 30), std=(100, 100, 50))
    level = (image[0, 0, channel] - (10, 20, 30)[channel]) / (100, 100, 50)[channel]
    np.testing.assert_allclose(prior.saliency(image), 1 / (1 + np.exp(-level)), rtol=1e-5)
    assert prior.saliency(image).shape == (40, 56)


def test_size_and_logits_of_an_onnx_file(tmp_path):
    pytest.importorskip('onnxruntime')
    path = write_onnx(tmp_path / 'net.onnx', (1, 3, 'H', 'W'), function='Identity')
    with pytest.raises(ValueError, match=r"net.onnx has inputs .*\[1, 3, 'H', 'W'\].*set image_size"):
        ModelPrior(onnx=path)
    image = np.full((40, 56, 3), (200, 120, 30), np.uint8)
    with pytest.raises(ValueError, match='gives values from 1.31 to 1.31, not in 0 to 1: set sigmoid=True'):
        ModelPrior(onnx=path, image_size=(16, 24)).saliency(image)
    found = ModelPrior(onnx=path, image_size=(16, 24), sigmoid=True).saliency(image)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(200 - 123.675) / 58.395)), rtol=1e-5)


@pytest.mark.parametrize('options', [dict(shape=(1, 4, 16, 24)), dict(shape=(2, 3, 16, 24)), dict(shape=(16, 24)),
                                     dict(outputs=2), dict(element=10)])
def test_onnx_files_of_another_form(tmp_path, options):
    pytest.importorskip('onnxruntime')
    if options.get('shape') == (1, 4, 16, 24):
        path = write_four_channels(tmp_path / 'net.onnx')
    else:
        path = write_onnx(tmp_path / 'net.onnx', **options)
    with pytest.raises(ValueError, match=r'net.onnx has inputs \[.*outputs \[.*takes one float input \(1, 3, H, W\)'):
        ModelPrior(onnx=path)


def write_four_channels(path) -> str:
    onnx = pytest.importorskip('onnx')
    from onnx import helper
    info = [helper.make_tensor_value_info(name, 1, (1, 4, 16, 24)) for name in ('image', 'map')]
    graph = helper.make_graph([helper.make_node('Identity', ['image'], ['map'])], 'net', info[:1], info[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9), str(path))
    return str(path)


def write_external(folder, location: str) -> str:
    """A file whose numbers lie in another one, which exists."""
    onnx = pytest.importorskip('onnx')
    from onnx import helper
    (folder / 'in').mkdir()
    np.full(3, 0.5, np.float32).tofile(folder / 'passwords.bin')
    tensor = onnx.TensorProto(name='w', data_type=1, dims=[3], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (('location', location), ('offset', '0'), ('length', '12')):
        tensor.external_data.add(key=key, value=value)
    infos = [helper.make_tensor_value_info('image', 1, (1, 3, 16, 24)), helper.make_tensor_value_info('map', 1, (3, ))]
    graph = helper.make_graph([helper.make_node('Identity', ['w'], ['map'])], 'net', infos[:1], infos[1:], [tensor])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    (folder / 'in' / 'outside.onnx').write_bytes(made.SerializeToString())
    return str(folder / 'in' / 'outside.onnx')


def test_faults_of_onnx_files(tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    path = write_onnx(tmp_path / 'net.onnx')
    with pytest.raises(ValueError, match=r'image_size=\(32, 32\) of ModelPrior does not fit'):
        ModelPrior(onnx=path, image_size=(32, 32))
    (tmp_path / 'broken.onnx').write_bytes(b'no network')
    with pytest.raises(ValueError, match='broken.onnx cannot be read as an ONNX model'):
        ModelPrior(onnx=str(tmp_path / 'broken.onnx'))
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r'pip install "mmseg-unsup\[onnx\]"'):
        ModelPrior(onnx=path)


@pytest.mark.parametrize('location, message', [('../passwords.bin', 'outside the directory'),
                                               ('/etc/passwd', 'absolute path'), ('link.bin', 'symbolic link')])
def test_an_onnx_file_that_reads_others(location, message, tmp_path):
    pytest.importorskip('onnxruntime')
    path = write_external(tmp_path, location)
    (tmp_path / 'in' / 'link.bin').symlink_to('../passwords.bin')
    with pytest.raises(ValueError, match=f'outside.onnx cannot be read as an ONNX model: .*{message}'):
        ModelPrior(onnx=path)
