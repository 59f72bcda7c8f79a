"""What a MODEL stands for: files, folders, names of the Hugging Face hub."""
import os
import sys

import numpy as np
import pytest
import torch

from mmseg_unsup import UnsupInferencer
from mmseg_unsup.apis import ClusterNames, find_model, load_segmentor, model_config, model_files
from mmseg_unsup.apis.model_files import find_names, is_hub_name
from ..conftest import smooth_image
from .test_inferencer import tiny_checkpoint
from .tiny_models import K

IMAGE = smooth_image(np.random.default_rng(0), 60, 80)


def write_model(path, method='PiCIE') -> str:
    """A checkpoint with its config inside; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config, weights = tiny_checkpoint(method, path.parent)
    torch.save(dict(torch.load(weights, weights_only=True), meta=dict(cfg=config.pretty_text)), path)
    os.remove(weights)
    return str(path)


def ids_of(inferencer) -> np.ndarray:
    return inferencer(IMAGE)['predictions'][0]['ids']


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """A working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# files below a folder (what a `last_checkpoint` holds follows =) -> the one that the folder stands for
FOLDERS = {
    'train/last_checkpoint=M/train/epoch_2.pth train/epoch_1.pth train/epoch_2.pth train/epoch_10.pth':
        'M/train/epoch_2.pth',
    'last_checkpoint=M/preempted.pth epoch_1.pth preempted.pth': 'M/preempted.pth',
    'last_checkpoint=/gone/epoch_1.pth epoch_1.pth epoch_2.pth': 'M/epoch_1.pth',  # it was moved
    'last_checkpoint=other/epoch_1.pth epoch_1.pth ../other/epoch_1.pth': 'M/epoch_1.pth',  # it was copied
    'last_checkpoint=other/epoch_1.pth ../other/epoch_1.pth': 'other/epoch_1.pth',  # out_dir of the hook
    'last_checkpoint=/gone/epoch_7.pth epoch_9.pth epoch_10.pth best_mIoU_epoch_11.pth': 'M/epoch_10.pth',
    'iter_900.pth epoch_1.pth': 'M/epoch_1.pth',
    'iter_900.pth iter_1000.pth': 'M/iter_1000.pth',
    'model.pth clusters.json': 'M/model.pth',
    'model.safetensors model.pth config.json': 'M/model.safetensors',
    'epoch_1.pth train/epoch_2.pth': 'M/epoch_1.pth',
}


@pytest.mark.parametrize('files, expected', FOLDERS.items())
def test_the_checkpoint_of_a_folder(files, expected, empty):
    for file in files.split():
        name, _, text = file.partition('=')
        path = empty / 'M' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for given in ('M', 'M/', empty / 'M'):
        assert os.path.samefile(find_model(given), expected)
    assert find_model(expected) == expected and find_model('https://a.b/c.pth') == 'https://a.b/c.pth'


@pytest.mark.parametrize('model, error, message', [
    ('picie_camvd', FileNotFoundError, "^there is no checkpoint or folder 'picie_camvd': did you mean picie_camvid.$"),
    ('picie_camvid/epoch_2.pth', FileNotFoundError, 'did you mean picie_camvid/epoch_1.pth\\?$'),
    ('nothing/alike', FileNotFoundError, "'nothing/alike': give hf://nothing/alike for one of the Hugging Face"),
    ('nothing', FileNotFoundError, "^there is no checkpoint or folder 'nothing': check the path; a model is a check"),
    ('photos', FileNotFoundError, '^the folder photos has no checkpoint: a model is a checkpoint file, the work dir'),
    ('begun', FileNotFoundError, '^the training in begun/train has written no checkpoint yet: let it go on'),
    ('config.py', ValueError, '^config.py is a config, and the model is missing: give the checkpoint, or the folder'),
    ('mmseg_unsup::picie/picie_fpn_camvid.py', ValueError, 'is a config, and the model is missing'),
])
def test_models_that_are_not_there(model, error, message, empty):
    for folder in ('photos', 'picie_camvid', 'begun/train'):
        (empty / folder).mkdir(parents=True)
    for name in ('photos/a.jpg', 'picie_camvid/epoch_1.pth', 'config.py'):
        (empty / name).write_text('')
    with pytest.raises(error, match=message) as raised:
        find_model(model)
    assert '\n' not in str(raised.value)


def test_what_stands_before_a_model(empty):
    write_model(empty / 'M' / 'epoch_1.pth')
    for config in ('M', 'M/epoch_1.pth'):
        with pytest.raises(ValueError, match=f'^{config} stands where a config may stand, before the model, and'):
            load_segmentor(config, 'M')
    os.remove('M/epoch_1.pth')
    tiny_checkpoint('PiCIE', empty / 'M')
    with pytest.raises(ValueError, match='^M/PiCIE.pth carries no config: give the config of its run before it$'):
        model_config(None, 'M/PiCIE.pth')


def test_names_beside_a_model(empty):
    (empty / 'M').mkdir()
    for given, expected in ((None, None), ('none', None), ('a.json', 'a.json')):
        assert find_names('M', given) == expected
    (empty / 'M' / 'clusters.json').write_text('')
    for given, expected in ((None, 'M/clusters.json'), ('none', None), ('a.json', 'a.json')):
        assert find_names('M', given) == expected
    assert find_names('M/epoch_1.pth', None) is None


def test_an_inferencer_of_a_folder(empty):
    path = write_model(empty / 'OUT' / 'train' / 'epoch_1.pth')
    plain = UnsupInferencer.from_pretrained('OUT', device='cpu', show_progress=False)
    expected = ids_of(UnsupInferencer(None, path, device='cpu', show_progress=False))
    np.testing.assert_array_equal(ids_of(plain), expected)
    names = plain.cluster_names.merged([[0, 1, 3]]).renamed({0: 'land'})
    names.save('OUT/clusters.json')
    named = UnsupInferencer.from_pretrained(empty / 'OUT', device='cpu', show_progress=False)
    assert named.names == ['land', 'cluster 2', 'cluster 4']
    np.testing.assert_array_equal(ids_of(named), names.table[expected])
    for clusters in ('none', ClusterNames.identity(*plain.model.cluster_identity())):
        assert len(UnsupInferencer.from_pretrained('OUT', clusters, device='cpu').names) == K
    ClusterNames.identity('view1', K, '0' * 16).save('OUT/clusters.json')  # of a former training
    with pytest.raises(ValueError, match='OUT/clusters.json has fingerprint=.*belong to another checkpoint'):
        UnsupInferencer.from_pretrained('OUT', device='cpu')
    sized = UnsupInferencer.from_pretrained('OUT', 'none', size=32, device='cpu')
    assert [transform.size for transform in sized.pipeline.transforms if hasattr(transform, 'size')] == [32]


@pytest.mark.parametrize('name, expected', [
    ('owner/name', True), ('owner/name.v2@main', True), ('here/name@refs/pr/1', True), ('owner', False),
    ('a/b/c', False), ('/a/b', False), ('./a', False), ('../a', False), ('here', False), ('here/there', False),
    ('here/thre', False), ('here/thre@main', True), ('owner/epoch_1.pth', False), ('a/b.py', False),
    ('https://a.b/c', False), ('hf://a/b@main', True),
    ('~/a', False), ('a\\b', False), ('a b/c', False), ('', False)])
def test_names_of_the_hub(name, expected, empty):
    """A path goes first, and one in a folder that is there is misspelt."""
    (empty / 'here' / 'there').mkdir(parents=True)
    assert is_hub_name(name) is expected


def test_a_name_of_the_hub_without_its_package(monkeypatch, empty):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match=r"^there is no path 'owner/name', .*Run: pip install .mmseg-unsup\[hub\].$"):
        UnsupInferencer.from_pretrained('owner/name')


def test_a_folder_is_said(empty, monkeypatch):
    write_model(empty / 'OUT' / 'train' / 'epoch_3.pth')
    said = []
    monkeypatch.setattr(model_files, 'say', said.append)
    model_files.choose_files('OUT', None)
    (empty / 'OUT' / 'clusters.json').write_text('')
    for model, clusters in (('OUT', None), ('OUT', 'none'), ('OUT/train/epoch_3.pth', None)):
        model_files.choose_files(model, clusters)
    checkpoint = 'model: OUT/train/epoch_3.pth'
    assert said == [checkpoint, f'{checkpoint}, names: OUT/clusters.json', checkpoint]
