"""A model that is pushed and fetched again predicts the same, to the bit; what is not ours is not read."""
import json
import os
import resource
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from PIL import Image

from mmseg_unsup import from_pretrained
from mmseg_unsup.apis import find_model, load_segmentor
from mmseg_unsup.apis.learn_request import LearnRequest
from mmseg_unsup.commands import main
from mmseg_unsup.hosts.safe_loading import load_safely
from mmseg_unsup.hub.model_card import model_card
from mmseg_unsup.models import DINOViT
from mmseg_unsup.registry import MODELS
from ..conftest import smooth_image
from ..test_apis.test_model_files import write_model
from ..test_apis.tiny_models import K, PREPROCESSOR, model_config
from .hub_server import TOKEN, hub_server

safetensors_torch = pytest.importorskip('safetensors.torch')
IMAGE = smooth_image(np.random.default_rng(0), 60, 80)


def predicted(model, **kwargs) -> dict:
    return from_pretrained(model, device='cpu', show_progress=False, **kwargs)(IMAGE)['predictions'][0]


def check_equal(found: dict, expected: dict) -> None:
    np.testing.assert_array_equal(found['ids'], expected['ids'])
    np.testing.assert_array_equal(found['scores'], expected['scores'])
    assert found['shares'] == expected['shares']


def add_meta(path, **meta) -> str:
    content = torch.load(path, weights_only=True)
    torch.save(dict(content, meta={**content['meta'], **meta}), path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / 'My Photos').mkdir()
    monkeypatch.chdir(tmp_path / 'My Photos')
    return tmp_path / 'My Photos'


def error_of(capfd) -> str:
    text = capfd.readouterr().err
    assert 'Traceback' not in text and text.startswith('error: ') and len(text.splitlines()) == 1, text
    return text


# --- a folder


@pytest.mark.parametrize('method', ['PiCIE', 'MaskContrast', 'SmooSeg'])
def test_a_folder_has_the_same_model(method, here):
    path = write_model(here / 'run' / 'train' / 'epoch_1.pth', method)
    expected = predicted('run')
    assert main(['push', 'run', '--to-folder', 'Für andere', '--license', 'apache-2.0']) == 0
    shutil.rmtree('run')
    check_equal(predicted('Für andere'), expected)
    check_equal(predicted('Für andere/model.safetensors'), expected)
    assert len(np.unique(expected['ids'])) > 1 and not os.path.exists(path)


def test_names_and_other_commands(here):
    write_model(here / 'run' / 'epoch_1.pth')
    names = from_pretrained('run', device='cpu', show_progress=False).cluster_names
    names.merged([[0, 1]]).renamed({0: 'Straße', 2: 'sky|air'}).save('run/clusters.json')
    expected = predicted('run')
    assert main(['push', 'run', '--to-folder', 'M']) == 0
    assert '| names | Straße, sky\\|air, ' in open('M/README.md', encoding='utf-8').read()
    check_equal(predicted('M'), expected)
    assert 'Straße' in expected['shares']
    assert main(['name', 'M', '--name', 'sky|air=Himmel']) == 0
    assert 'Himmel' in predicted('M')['shares']
    assert main(['push', 'M', '--to-folder', 'N', '--clusters', 'none']) == 0  # a copy of a copy
    assert sorted(os.listdir('N')) == ['README.md', 'config.json', 'model.safetensors']


def test_what_the_file_holds(here):
    path = write_model(here / 'epoch_3.pth')
    content = torch.load(path, weights_only=True)
    cfg = Config.fromstring(content['meta']['cfg'], '.py')
    cfg.merge_from_dict(dict(data_root=f'{here}/Ich', work_dir='/home/me/runs', note='a/b'))
    add_meta(path, cfg=cfg.pretty_text, epoch=3, seed=7, weights_seen='ImageNet labels', time='noon', config='x = 1')
    assert main(['push', path, '--to-folder', 'M']) == 0
    written = load_safely('M/model.safetensors', 'cpu')
    assert written['meta'].keys() == {'cfg', 'epoch', 'seed', 'weights_seen'}
    assert str(here) not in written['meta']['cfg'] and '/home/me' not in written['meta']['cfg']
    shown = json.load(open('M/config.json'))
    assert (shown['data_root'], shown['work_dir'], shown['note']) == ('Ich', 'runs', 'a/b')
    assert shown['model']['type'] == 'mmseg_unsup.PiCIE'
    plain = safetensors_torch.load_file('M/model.safetensors')  # by other programs
    assert plain.keys() == content['state_dict'].keys()
    assert all(torch.equal(value, content['state_dict'][name]) for name, value in plain.items())


def test_the_card(here):
    path = write_model(here / 'run' / 'epoch_3.pth')
    content = torch.load(path, weights_only=True)
    cfg = Config.fromstring(content['meta']['cfg'], '.py')
    data = dict(type='mmseg_unsup.CamVidDataset', pipeline=[dict(type='mmseg_unsup.ResizeForEvaluation', size=160)])
    cfg.merge_from_dict(dict(n_clusters=5, train_cfg=dict(max_epochs=8), val_dataloader=dict(dataset=data),
                             train_dataloader=dict(dataset=dict(type='mmseg_unsup.ViewDataset', dataset=data)),
                             val_evaluator=dict(type='mmseg_unsup.ClusterIoUMetric')))
    add_meta(path, cfg=cfg.pretty_text, epoch=3, seed=7, weights_seen='ImageNet labels')
    (here / 'run' / '1' / 'vis_data').mkdir(parents=True)
    lines = [dict(step=1, mIoU=1., aAcc=2.), dict(step=3, mIoU=31.25, aAcc=67.5, **{'view1/mIoU': 9.})]
    (here / 'run' / '1' / 'vis_data' / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    assert main(['push', 'run', '--to-folder', 'M', '--license', 'cc-by-4.0']) == 0
    _, head, text = open('M/README.md', encoding='utf-8').read().split('---\n', 2)
    head = yaml.safe_load(head)
    assert (head['library_name'], head['license'], head['pipeline_tag']) == (
        'mmseg_unsup', 'cc-by-4.0', 'image-segmentation') and 'unsupervised' in head['tags']
    result, = head['model-index'][0]['results']
    assert result['dataset'] == dict(name='CamVid', type='camvid')
    assert result['metrics'] == [dict(type='mIoU', value=31.25), dict(type='aAcc', value=67.5)]
    for row in ('| method | PiCIE |', '| seed | 7 |', '| trained for | 3 of 8 epochs |', '| trained on | CamVid |',
                f'| clusters | {K} |', '| mIoU | 31.25 |', '| labels that the weights have seen | ImageNet labels |',
                '| size | 160 |', '| matching | hungarian |', '| frame | centre square |',
                '| checkpoint | after 3 of 8 epochs |', '| labels | none |', 'Of one run, on CamVid.'):
        assert row in text, row
    os.rename(path, here / 'run' / 'best_mIoU_epoch_3.pth')
    add_meta('run/best_mIoU_epoch_3.pth', weights_seen='unknown')
    assert main(['push', 'run/best_mIoU_epoch_3.pth', '--to-folder', 'B']) == 0
    text = open('B/README.md', encoding='utf-8').read()
    assert '| checkpoint | chosen by a score |' in text and ', a checkpoint that was chosen by a score.' in text
    assert '| labels | unknown |' in text  # nobody knows whether those of CamVid were


def test_the_commands_of_the_card(here, monkeypatch):
    """As they stand there, for a folder."""
    write_model(here / 'run' / 'epoch_1.pth')
    write_image(here)
    assert main(['push', 'run', '--to-folder', 'M']) == 0
    expected = predicted('M')['ids']
    shutil.move('M', 'images/M')
    monkeypatch.chdir('images')
    text = open('M/README.md', encoding='utf-8').read().replace('IMAGES', '.').replace("'IMAGE'", "'a.png'")
    shell, code = (block.partition('```')[0].replace('MODEL', 'M') for block in text.split('```')[1::2])
    command = shell.splitlines()[-1].split()
    assert command[0] == 'mmseg-unsup' and main(command[1:]) == 0
    values = {}
    exec(code.removeprefix('python\n'), values)  # a text of this package
    np.testing.assert_array_equal(values['ids'], expected)
    np.testing.assert_array_equal(Image.open('OUT/maps/a.png'), expected)


@pytest.mark.parametrize('title, shown', [('a\nb', 'a b'), ('\x1b[31m', '[31m'), *((title, title) for title in (
    'Für "andere": #1 | x', '- a: b', 'yes', '{a}', "'"))])
def test_titles(title, shown, here):
    """Whatever the folder is called, what the hub reads before the card is YAML, and the card has one title."""
    path = write_model(here / 'run' / 'epoch_3.pth')
    add_meta(path, epoch=3, seed='a | b\nc', weights_seen='|\x1b[31m')
    (here / 'run' / '1' / 'vis_data').mkdir(parents=True)
    (here / 'run' / '1' / 'vis_data' / 'scalars.json').write_text('{"step": 3, "mIoU": 5.0, "aAcc": NaN}')
    assert main(['push', 'run', '--to-folder', title]) == 0
    text = open(f'{title}/README.md', encoding='utf-8').read()
    assert text.isprintable() or {letter for letter in text if not letter.isprintable()} == {'\n'}
    _, head, card = text.split('---\n', 2)
    index, = yaml.safe_load(head)['model-index']
    assert index['name'] == shown and f'\n# {shown}\n' in card
    assert index['results'][0]['metrics'] == [dict(type='mIoU', value=5.)]  # the hub takes numbers alone
    assert '| seed | a \\| b c |' in card
    assert all(line.replace('\\|', '').count('|') == 3 for line in card.splitlines() if line.startswith('| '))


def test_a_folder_after_a_killed_process(here):
    write_model(here / 'run' / 'epoch_1.pth')
    (here / 'M').mkdir()
    (here / 'M' / 'model.safetensors.123.part').write_bytes(b'half')
    assert main(['push', 'run', '--to-folder', 'M']) == 0
    assert sorted(os.listdir('M')) == ['README.md', 'config.json', 'model.safetensors']


def test_a_folder_that_is_refused_stays_as_it_is(here, capfd):
    """Also a part in it, which another process may be writing."""
    write_model(here / 'run' / 'epoch_1.pth')
    (here / 'M').mkdir()
    for name in ('model.safetensors.123.part', 'z.txt.123.part'):
        (here / 'M' / name).write_bytes(b'half')
    assert main(['push', 'run', '--to-folder', 'M']) == 2
    assert 'M holds z.txt.123.part, which is none of the files of a model' in error_of(capfd)
    assert sorted(os.listdir('M')) == ['model.safetensors.123.part', 'z.txt.123.part']


def test_a_disk_that_is_full(here, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        assert main(['push', 'run', '--to-folder', 'M']) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert 'M/model.safetensors: File too large' in error_of(capfd) and os.listdir('.') == ['run']


def test_the_card_of_a_model_that_learned_from_labels():
    data = dict(type='RepeatDataset', dataset=dict(type='mmseg_unsup.LabelledFolder'))
    cfg = Config(dict(model=dict(type='mmseg_unsup.TaughtSegmentor', decode_head=dict(n_clusters=11)),
                      train_dataloader=dict(dataset=dict(type='mmseg_unsup.ViewDataset', dataset=data))))
    model = SimpleNamespace(uses_labels=True, predicted_sets=['taught'], cluster_identity=lambda: ('taught', 11, ''))
    text = model_card('M', cfg, model, {}, 'epoch_1.pth')
    assert '| classes | 11 |' in text and '| trained on | a folder of images with labels |' in text
    assert 'unsupervised' not in text


def test_the_card_of_clusters_whose_features_learned_from_labels():
    """They are no classes: CAUSE as it was released."""
    cfg = Config(dict(model=model_config('CAUSE')))
    for leak in (True, False):
        text = model_card('M', cfg, MODELS.build(dict(cfg.model, released_leak=leak)), {}, 'epoch_1.pth')
        assert f'| clusters | {K} |' in text and '| classes |' not in text
        assert ('unsupervised' in text) is not leak


@pytest.mark.parametrize('is_published', [False, True])
def test_weights_of_a_frozen_backbone(is_published, here, monkeypatch):
    """They go along where only this machine has them; published ones are fetched from their publisher."""
    torch.manual_seed(0)
    arch = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=40)
    torch.save(DINOViT('dino', arch, patch_size=8, img_size=32).state_dict(), 'vit.pth')
    source = 'https://dl.fbaipublicfiles.com/dino/a/vit.pth' if is_published else str(here / 'vit.pth')
    if is_published:
        monkeypatch.setenv('TORCH_HOME', str(here))
        monkeypatch.setattr(torch.hub, '_hub_dir', None)
        place = here / 'hub' / 'checkpoints' / 'dl.fbaipublicfiles.com' / 'dino' / 'a'
        place.mkdir(parents=True)
        os.rename('vit.pth', place / 'vit.pth')
    model = dict(
        type='mmseg_unsup.STEGO', data_preprocessor=PREPROCESSOR,
        backbone=dict(type='mmseg_unsup.FrozenBackbone', out=['tokens'], backbone=dict(
            type='mmseg_unsup.DINOViT', family='dino', arch=arch, patch_size=8, img_size=32,
            init_cfg=dict(type='Pretrained', checkpoint=source))),
        neck=dict(type='mmseg_unsup.ResidualProjection', in_channels=24, out_channels=16),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=16, n_clusters=5,
                         clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet'))),
        test_cfg=dict(mode='whole'))
    cfg = Config(dict(model=model, init=source, test_dataloader=dict(dataset=dict(
        pipeline=[dict(type='mmseg_unsup.LoadImage'), dict(type='mmseg_unsup.ResizeForEvaluation', size=64),
                  dict(type='PackSegInputs')]))))
    built = MODELS.build(model)
    built.init_weights()
    torch.save(dict(state_dict=built.state_dict(), meta=dict(cfg=cfg.pretty_text)), 'epoch_1.pth')
    expected = predicted('epoch_1.pth')
    assert main(['push', 'epoch_1.pth', '--to-folder', 'M']) == 0
    names = load_safely('M/model.safetensors', 'cpu')['state_dict']
    assert ('backbone.cls_token' in names) is not is_published
    if not is_published:
        os.remove('vit.pth')
    check_equal(predicted('M'), expected)


@pytest.mark.parametrize('words, message', [
    ('run', 'say where the model goes: OWNER/NAME of the hub after it, or --to-folder FOLDER'),
    ('run --to-folder full', 'full holds a.txt, which is none of the files of a model'),
    ('nowhere --to-folder M', "there is no checkpoint or folder 'nowhere'"),
    ('run a/b/c', "'a/b/c' is no repository of the Hugging Face hub: expected owner/name"),
    ('plain.pth --to-folder M', 'plain.pth carries no config'),
    ('run --to-folder M --clusters foreign.json', 'belong to another checkpoint'),
    ('run --to-folder M --license Apache-2.0', "--license 'Apache-2.0' is no name of a licence on the hub: they h"),
    ('run --to-folder M --private', '--private is for a repository of the hub: give OWNER/NAME after MODEL'),
    ('run --to-folder foreign.json', 'foreign.json: Not a directory: a folder is needed, and a file is in its place'),
    ('run a@b/c', "'a@b/c' is no repository of the Hugging Face hub: expected owner/name"),
    ('run hf://a/b', "'hf://a/b' is no repository of the Hugging Face hub: expected owner/name"),
])
def test_mistakes(words, message, here, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    (here / 'full').mkdir()
    (here / 'full' / 'a.txt').write_text('mine')
    torch.save(dict(a=torch.zeros(1)), 'plain.pth')
    names = from_pretrained('run', device='cpu', show_progress=False).cluster_names
    names.save('foreign.json')
    text = (here / 'foreign.json').read_text().replace(names.fingerprint, '0' * 16)
    (here / 'foreign.json').write_text(text)
    assert main(['push', *words.split()]) == 2
    assert message in error_of(capfd)
    assert not os.path.exists('M')


def test_files_that_are_cut_off(here):
    write_model(here / 'run' / 'epoch_1.pth')
    assert main(['push', 'run', '--to-folder', 'M']) == 0
    whole = (here / 'M' / 'model.safetensors').read_bytes()
    for content, reason in ((whole[:-100], 'InvalidHeader|MetadataIncompleteBuffer|incomplete'), (b'', 'it is empty'),
                            (b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n', 'git lfs pull')):
        (here / 'M' / 'model.safetensors').write_bytes(content)
        with pytest.raises(ValueError, match=f'model.safetensors cannot be read as a file of tensors: .*({reason})'):
            load_segmentor(None, 'M')


def test_a_config_in_the_file_is_data(here):
    path = write_model(here / 'run' / 'epoch_1.pth')
    cfg = torch.load(path, weights_only=True)['meta']['cfg']
    loaded = torch.load(path, weights_only=True)['state_dict'].items()
    state = {name: value.clone(memory_format=torch.contiguous_format) for name, value in loaded}
    for text in (f'{cfg}\nprint("ran")', cfg.replace('mmseg_unsup.PiCIE', 'os.system')):
        safetensors_torch.save_file(state, 'evil.safetensors', {'mmseg_unsup': json.dumps(dict(cfg=text))})
        with pytest.raises(ValueError, match='nothing was built'):
            load_segmentor(None, 'evil.safetensors')
    safetensors_torch.save_file(state, 'evil.safetensors', {'mmseg_unsup': '{'})
    with pytest.raises(ValueError, match='cannot be read as a file of tensors'):
        load_segmentor(None, 'evil.safetensors')


# --- the hub


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """A hub, and a huggingface_hub that was imported where the environment names it."""
    pytest.importorskip('huggingface_hub')
    with hub_server() as server, pytest.MonkeyPatch.context() as patch:
        settings = dict(ENDPOINT=server.address, HOME=str(tmp_path_factory.mktemp('home')), TOKEN=TOKEN)
        off = dict.fromkeys(('HUB_DISABLE_XET', 'HUB_DISABLE_TELEMETRY', 'HUB_DISABLE_PROGRESS_BARS'), '1')
        for name, value in {**settings, **off}.items():
            patch.setenv(f'HF_{name}', value)
        for name in [name for name in sys.modules if name.partition('.')[0] == 'huggingface_hub']:
            patch.delitem(sys.modules, name)
        yield server
        for name in [name for name in sys.modules if name.partition('.')[0] == 'huggingface_hub']:
            del sys.modules[name]


def test_a_model_on_the_hub(server, here, monkeypatch, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    names = from_pretrained('run', device='cpu', show_progress=False).cluster_names
    names.renamed({0: 'sky'}).save('run/clusters.json')
    expected = predicted('run')
    assert main(['push', 'run', 'owner/clouds', '--license', 'mit']) == 0
    assert f'{server.address}/owner/clouds/commit/' in capfd.readouterr().out
    files = server.repositories['owner/clouds']
    assert files.keys() == {'model.safetensors', 'config.json', 'clusters.json', 'README.md'}
    assert b'# clouds\n' in files['README.md'] and b'license: mit' in files['README.md']
    shutil.rmtree('run')
    files['model.pth'] = files['evil.py'] = b'not fetched'
    import huggingface_hub
    monkeypatch.setattr(huggingface_hub.constants, 'DOWNLOAD_CHUNK_SIZE', 1000)  # it goes on after whole ones
    server.cuts = [500_500]
    server.requests.clear()
    check_equal(predicted('owner/clouds'), expected)
    fetched = [request for request in server.requests if request.startswith('GET')]
    assert fetched[:2] == ['GET model.safetensors', 'GET model.safetensors bytes=500000-']
    assert {request.split()[1] for request in server.requests} == {'model.safetensors', 'clusters.json'}
    folder = os.path.dirname(find_model(_downloaded('owner/clouds')))
    assert sorted(os.listdir(folder)) == ['clusters.json', 'model.safetensors']
    write_image(here)
    assert main(['predict', 'hf://owner/clouds', 'images', '--out', 'OUT']) == 0
    record = json.load(open('OUT/predictions.json'))
    assert 'sky' in record['classes']
    request = LearnRequest(model='hf://owner/clouds', images='images', labels='labels', out='LEARNED')
    assert request.checkpoint == os.path.join(folder, 'model.safetensors')
    for words in ('learn hf://owner/clouds images --labels labels', 'name hf://owner/clouds --name 0=sky'):
        capfd.readouterr()
        assert main(words.split()) == 2
        assert 'hf://owner/clouds is no folder' in error_of(capfd)


def test_a_model_without_names_takes_the_place_of_one_with(server, here):
    write_model(here / 'run' / 'epoch_1.pth')
    names = from_pretrained('run', device='cpu', show_progress=False).cluster_names
    names.renamed({0: 'sky'}).save('run/clusters.json')
    assert main(['push', 'run', 'owner/renewed']) == 0
    assert main(['push', 'run', 'owner/renewed', '--clusters', 'none']) == 0
    assert server.repositories['owner/renewed'].keys() == {'model.safetensors', 'config.json', 'README.md'}


def test_what_is_private_stays_so(server, here, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    assert main(['push', 'run', 'owner/hidden', '--private']) == 0 and server.private == {'owner/hidden'}
    assert main(['push', 'run', 'owner/hidden', '--private']) == 0
    server.repositories['owner/open'] = {}
    capfd.readouterr()
    assert main(['push', 'run', 'owner/open', '--private']) == 2
    assert 'owner/open is there, and others see it: nothing was written' in error_of(capfd)
    assert not server.repositories['owner/open']


def test_names_that_cannot_be_fetched_are_told(server, here, monkeypatch, capfd):
    """As where the connection ends between the two files: later, they are fetched."""
    write_model(here / 'run' / 'epoch_1.pth')
    names = from_pretrained('run', device='cpu', show_progress=False).cluster_names
    names.renamed({0: 'sky'}).save('run/clusters.json')
    assert main(['push', 'run', 'owner/two']) == 0
    kept = server.repositories['owner/two'].pop('clusters.json')
    import huggingface_hub
    original = huggingface_hub.hf_hub_download

    def without(repository, file, **kwargs):
        if file == 'clusters.json':
            raise huggingface_hub.utils.LocalEntryNotFoundError('no network')
        return original(repository, file, **kwargs)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', without)
    assert 'sky' not in from_pretrained('owner/two', device='cpu', show_progress=False).names
    said = capfd.readouterr()
    assert 'owner/two: if its clusters have names, they could not be fetched (LocalEntry' in said.out + said.err
    monkeypatch.undo()
    server.repositories['owner/two']['clusters.json'] = kept
    assert 'sky' in from_pretrained('owner/two', device='cpu', show_progress=False).names
    server.requests.clear()
    assert 'sky' in from_pretrained('owner/two', device='cpu', show_progress=False).names
    assert not [request for request in server.requests if 'clusters.json' in request]  # those of a commit do not change


def _downloaded(name: str) -> str:
    from mmseg_unsup.apis.model_files import download_model
    return download_model(name)


def write_image(folder) -> None:
    import cv2
    (folder / 'images').mkdir()
    cv2.imwrite(str(folder / 'images' / 'a.png'), IMAGE)


def test_repositories_that_are_not_ours(server):
    server.repositories['other/model'] = {'pytorch_model.bin': b'x', 'model.pth': b'x', 'README.md': b'x'}
    with pytest.raises(FileNotFoundError, match="^the repository 'other/model' .* has no model.safetensors: it is no"):
        from_pretrained('other/model')
    state = safetensors_torch.save(dict(weight=torch.zeros(3)))
    server.repositories['other/tensors'] = {'model.safetensors': state}
    with pytest.raises(ValueError, match='model.safetensors carries no config'):
        from_pretrained('other/tensors')
    with pytest.raises(OSError, match="^there is no path 'other/none', .*RepositoryNotFoundError.*check name, rev"):
        from_pretrained('other/none')
    with pytest.raises(OSError, match='^hf://other/none cannot be had .RepositoryNotFoundError.*check name, rev'):
        from_pretrained('hf://other/none')
    with pytest.raises(ValueError, match="'hf://a/b@../../c' is no model of the Hugging Face hub"):
        from_pretrained('hf://a/b@../../c')
    with pytest.raises(ValueError, match="'hf://a' is no model of the Hugging Face hub: expected owner/name"):
        from_pretrained('hf://a')
    assert not [request for request in server.requests if 'model.pth' in request or '.bin' in request]


def test_a_token_that_is_missing(server, here, monkeypatch, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    for token in ('', 'hf_other'):
        monkeypatch.setenv('HF_TOKEN', token)
        assert main(['push', 'run', 'owner/secret']) == 2
        text = error_of(capfd)
        assert 'owner/secret cannot be written to the Hugging Face hub (' in text and 'hf auth login' in text
    assert 'owner/secret' not in server.repositories


def test_no_network(server, here, monkeypatch, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    import huggingface_hub
    for module in (huggingface_hub.constants, huggingface_hub.hf_api.constants):
        monkeypatch.setattr(module, 'ENDPOINT', 'http://127.0.0.1:9')
    assert main(['push', 'run', 'owner/clouds']) == 2
    assert 'refused' in error_of(capfd)


def test_packages_that_are_missing(here, monkeypatch, capfd):
    write_model(here / 'run' / 'epoch_1.pth')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    assert main(['push', 'run', 'owner/clouds']) == 2
    assert 'pip install "mmseg-unsup[hub]"' in error_of(capfd)
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    assert main(['push', 'run', '--to-folder', 'M']) == 2
    assert 'pip install "mmseg-unsup[safetensors]"' in error_of(capfd)
