"""`torchvision://NAME`, other names and addresses: without torchvision, once a machine, never damaged."""
import glob
import os.path as osp
import re
import sys
from threading import Thread
from urllib.error import URLError

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmseg.models.backbones import ResNet

from mmseg_unsup.weights import read_part
from mmseg_unsup.registry import MODELS
from mmseg_unsup.hosts.published_weights import weights_file
from mmseg_unsup.utils import fetching
from ..conftest import ROOT
from ..weights_server import publish, serving, write_table

NARROW = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'))
SOURCE = 'torchvision://resnet18'


@pytest.fixture(scope='module')
def state():
    torch.manual_seed(0)
    network = ResNet(**{key: value for key, value in NARROW.items() if key != 'type'})
    return {name: torch.rand_like(value) if value.is_floating_point() else value + 7
            for name, value in network.state_dict().items()}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Caches of torch and mmengine below ``tmp_path``, and no torchvision."""
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    for name in ('TORCH_HOME', 'MMENGINE_HOME'):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def server(tmp_path, cache, state):
    """Serves resnet18; the name of the file is its attribute ``name``."""
    (tmp_path / 'served').mkdir()
    with serving(tmp_path / 'served') as server:
        server.name = publish(tmp_path / 'served', state, 'resnet18')
        write_table(tmp_path, dict(resnet18=f'{server.address}/{server.name}'))
        yield server


def build(init_type: str, checkpoint: str = SOURCE):
    module = MODELS.build(dict(NARROW, init_cfg=dict(type=init_type, checkpoint=checkpoint)))
    module.init_weights()
    return module.state_dict()


def assert_equal(found: dict, expected: dict) -> None:
    assert set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize('init_type', ['mmseg_unsup.PretrainedBackbone', 'Pretrained'])
def test_a_name_is_downloaded_once(server, cache, state, init_type):
    assert_equal(build(init_type), state)
    assert_equal(build(init_type, 'modelzoo://resnet18'), state)
    assert server.requests == [server.name] and (cache / server.name).is_file()
    assert read_part(SOURCE).seen == 'ImageNet labels'


def test_a_damaged_copy_is_replaced(server, cache, state):
    path = cache / server.name
    build('Pretrained')
    content = path.read_bytes()
    for damaged in (content[:5000], b'', content[:5000] + b'x' + content[5001:], b'<html>log in first</html>'):
        path.write_bytes(damaged)
        assert_equal(build('Pretrained'), state)
        assert path.read_bytes() == content
    assert server.requests == [server.name] * 5
    path.write_bytes(content[:5000])
    server.requests.clear()
    (cache.parents[1] / 'served' / server.name).unlink()
    with pytest.raises(OSError, match=f'cannot be downloaded from {server.address}/{server.name} .HTTP Error 404.*, '
                                      f'and the copy in {path} is damaged: put that file at {path}, or .*init=FILE'):
        build('Pretrained')


def test_another_file_than_that_of_the_name_is_not_kept(server, cache):
    served = cache.parents[1] / 'served' / server.name
    served.write_bytes(served.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f'{server.name} gave for {SOURCE} is damaged .*its SHA-256.*put the right'):
        build('mmseg_unsup.PretrainedBackbone')
    assert not cache.exists()


def test_offline_one_sentence_says_what_to_do(cache, monkeypatch):
    """The table is mmengine's; nothing is asked for over a network."""
    def fail(*args, **kwargs):
        raise URLError('Name or service not known')

    monkeypatch.setattr(fetching, 'urlopen', fail)
    with pytest.raises(OSError) as caught:
        build('mmseg_unsup.PretrainedBackbone')
    assert str(caught.value) == (
        'torchvision://resnet18 cannot be downloaded from https://download.pytorch.org/models/resnet18-f37072fd.pth '
        f'(Name or service not known): put that file at {cache}/resnet18-f37072fd.pth, or name another file '
        '(--cfg-options init=FILE)')
    for source in ('https://example.org/x.pth', 'open-mmlab://resnet50_caffe', 'mmcls://resnet18'):
        with pytest.raises(OSError, match=rf'not known\): put that file at {cache}/(example.org/)?[\w-]+.pth, or'):
            CheckpointLoader.load_checkpoint(source)


def test_a_server_that_says_nothing_is_given_up(server, monkeypatch):
    monkeypatch.setattr(fetching, '_SILENCE', 0.1)
    server.delay = 0.5
    with pytest.raises(OSError, match=f'{server.name} .*timed out.*: put that file at'):
        weights_file(SOURCE)


def test_one_process_of_a_machine_downloads(server):
    server.delay, found = 0.2, []
    threads = [Thread(target=lambda: found.append(weights_file(SOURCE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and server.requests == [server.name]


@pytest.mark.parametrize('source, near', [
    ('torchvision://resnet19', 'resnet18'), ('torchvision://ResNet18', 'resnet18'), ('torchvision://', ''),
    ('modelzoo://mnasnet0_75', ''), ('mmcls://resnet', 'resnet50'), ('open-mmlab://resnet50_cafe', 'resnet50_caffe')])
def test_unknown_names(cache, source, near):
    with pytest.raises(ValueError, match=f'{source}: there are no published weights of this name: .*{near}'):
        CheckpointLoader.load_checkpoint(source)


def test_every_name_in_the_configs_is_known(cache, monkeypatch):
    monkeypatch.setattr('mmseg_unsup.hosts.published_weights._download', lambda *args: None)
    texts = [open(path).read() for path in glob.glob(osp.join(ROOT, 'configs', '**', '*.*'), recursive=True)]
    names = set(re.findall(r'torchvision://(\w+)', ' '.join(texts)))
    assert {'resnet18', 'resnet50'} <= names
    for name in names:
        assert re.fullmatch(rf'{name}-[0-9a-f]{{8}}.pth', osp.basename(weights_file(f'torchvision://{name}')))


def test_addresses_without_a_hash(server, cache, state):
    """Their own checksums tell whether a copy is whole; what is no checkpoint is named."""
    served = cache.parents[1] / 'served'
    torch.save(state, served / 'plain.pth')
    (served / 'page.pth').write_text('<html>log in first</html>')
    address = f'{server.address}/plain.pth?download=1'
    assert_equal(CheckpointLoader.load_checkpoint(address), state)
    copy = cache / server.address.removeprefix('http://') / 'plain.pth'
    content = bytearray(copy.read_bytes())
    content[content.index(state['conv1.weight'].numpy().tobytes()) + 8] ^= 0xff
    copy.write_bytes(content)
    assert_equal(CheckpointLoader.load_checkpoint(address), state)
    assert len(server.requests) == 2
    (served / 'plain.pth').write_bytes(content)
    copy.unlink()
    with pytest.raises(ValueError, match=r'what http://.* gave is damaged: try again, or'):
        CheckpointLoader.load_checkpoint(address)
    with pytest.raises(ValueError, match='page.pth gave is damaged, it is a page of the web.*: try again, or'):
        read_part(f'{server.address}/page.pth')
    assert not (copy.parent / 'page.pth').exists()
    torch.save(state, served / 'page.pth')
    assert_equal(CheckpointLoader.load_checkpoint(f'{server.address}/page.pth'), state)
    (served / 'words.pth').write_text('no weights')
    with pytest.raises(ValueError, match=f'{copy.parent}/words.pth cannot be read .*; delete it to have .*/words.pth '):
        read_part(f'{server.address}/words.pth')


def test_addresses_that_share_a_name_are_kept_apart(server, cache, state):
    served = cache.parents[1] / 'served'
    others = {name: value + 1 for name, value in state.items()}
    for folder, content in (('first', state), ('second', others)):
        (served / folder).mkdir()
        torch.save(content, served / folder / 'last.pth')
    for _ in range(2):
        assert_equal(CheckpointLoader.load_checkpoint(f'{server.address}/first/last.pth'), state)
        assert_equal(CheckpointLoader.load_checkpoint(f'{server.address}/second/../second/last.pth'), others)
    assert server.requests == ['last.pth'] * 2
    with pytest.raises(ValueError, match=f'{server.address}/ names no file: name another file'):
        CheckpointLoader.load_checkpoint(f'{server.address}/')


def test_a_table_may_name_files(cache, tmp_path, state):
    torch.save(state, tmp_path / 'mine.pth')
    write_table(tmp_path, dict(resnet18='mine.pth', own=str(tmp_path / 'mine.pth'), lost='lost.pth'))
    assert_equal(build('Pretrained'), state)
    assert_equal(build('Pretrained', 'torchvision://own'), state)
    with pytest.raises(ValueError, match=f'torchvision://lost stands for the file {tmp_path}/lost.pth by a table in'):
        weights_file('torchvision://lost')


@pytest.mark.parametrize('text', ['', '{', '[]', '{"resnet18": 1}', '{"resnet18": null}'])
def test_a_bad_table_is_named(cache, tmp_path, text):
    (tmp_path / 'torchvision.json').write_text(text)
    with pytest.raises(ValueError, match=r'torchvision.json (is no JSON .*write|must hold .*mend) .*remove it'):
        weights_file(SOURCE)


class Payload:
    """Leaves a mark where it is loaded freely."""

    def __init__(self, mark) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, 'w')


@pytest.mark.parametrize('is_zip', [True, False])
def test_weights_that_would_run_code_are_refused(server, cache, tmp_path, state, is_zip):
    """The remedy is said to its end, and no other cause; of a name, an address and a file."""
    served = tmp_path / 'served'
    torch.save(dict(state, x=Payload(tmp_path / 'mark')), served / 'bad.pth', pickle_protocol=2,
               _use_new_zipfile_serialization=is_zip)
    write_table(tmp_path, dict(bad=f'{server.address}/bad.pth'))
    for source in ('torchvision://bad', f'{server.address}/bad.pth', str(served / 'bad.pth')):
        with pytest.raises(ValueError, match='wants to load .*open, .* nothing was loaded') as caught:
            read_part(source)
        assert "allow_globals(['" in str(caught.value) and str(caught.value).endswith("open'])")
        assert 'cut off' not in str(caught.value)
    assert not (tmp_path / 'mark').exists()
    assert all(loader.is_safe for loader in CheckpointLoader._schemes.values())
