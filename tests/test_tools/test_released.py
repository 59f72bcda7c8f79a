"""mmseg-unsup convert-released on checkpoints that are made like those of the released codes."""
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config

from mmseg_unsup.commands.convert_released import METHODS
from mmseg_unsup.converters.released import build_released, convert_released
from mmseg_unsup.converters.released_layouts import LAYOUTS, read_released
from mmseg_unsup.evaluation.protocol_cards import CARDS
from mmseg_unsup.models.codebook import Codebook
from mmseg_unsup.registry import MODELS
from ..facts import facts
from . import released_checkpoints as made

SIZE = 4 * made.PATCH


def expected_codes(method, state, features):
    """(N, C, h, w) features -> codes, cell by cell."""
    rows = features.permute(0, 2, 3, 1).double()
    first, second, third = (dict(weight=state[f'{name}.weight'].flatten(1).double(),
                                 bias=state[f'{name}.bias'].double())
                            for name in state['names'])
    hidden = rows @ second['weight'].t() + second['bias']
    hidden = hidden * torch.sigmoid(hidden) if method == 'smooseg' else hidden.clamp(min=0)
    codes = rows @ first['weight'].t() + first['bias'] + hidden @ third['weight'].t() + third['bias']
    return codes.permute(0, 3, 1, 2)


def head_of(method, files):
    """The tensors of the head that predicts, by their names in the file."""
    prefix = dict(smooseg='projection.', hp='', cause='head_ema.').get(method, 'net.')
    tensors = files[0] if method == 'cause' else files[0]['net_model_state_dict' if method == 'hp' else 'state_dict']
    names = ('f1', 'f2.0', 'f2.2') if method == 'cause' else ('cluster1.0', 'cluster2.0', 'cluster2.2')
    found = {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}
    return dict(found, names=names)


def prototypes_of(method, files):
    if method == 'hp':
        return files[0]['cluster_model_state_dict']['clusters']
    if method == 'cause':
        return files[1]['cluster_probe']
    return files[0]['state_dict']['prediction.global_clusters' if method == 'smooseg' else 'cluster_probe.clusters']


@pytest.mark.parametrize('method', ['stego', 'depthg', 'hp', 'smooseg', 'eagle', 'cause'])
def test_scores_are_those_of_the_released_tensors(method, tmp_path):
    vit = made.transformer(128 if method == 'eagle' else 64)
    files = made.released(method, vit, n_clusters=8 if method == 'eagle' else 6)
    backbone = tmp_path / 'dino.pth'
    torch.save(vit.state_dict(), backbone)
    target = tmp_path / 'model.pth'
    paths, n_clusters = made.write(files, tmp_path), 8 if method == 'eagle' else 6
    told = convert_released(method, paths, str(target), str(backbone) if method == 'cause' else None)
    probe = '' if method == 'smooseg' else 'a linear probe of 6 classes, '
    assert told.startswith(f'wrote {target}: {LAYOUTS[method].title}, {n_clusters} clusters of codes of 5 channels, '
                           f'{probe}frozen DINOViT')
    checkpoint = torch.load(target, weights_only=True)
    model = MODELS.build(Config.fromstring(checkpoint['meta']['cfg'], '.py').model).eval()
    model.load_state_dict(checkpoint['state_dict'])
    images = torch.randn(2, 3, SIZE, SIZE + made.PATCH)
    with torch.no_grad():
        outputs = vit.named_outputs(images, ['keys.0', 'keys.1', 'keys.2'] if method == 'eagle' else ['tokens'])
        codes = expected_codes(method, head_of(method, files), torch.cat([*outputs.values()], 1))
        expected = torch.einsum('ndhw,kd->nkhw', F.normalize(codes, dim=1),
                                F.normalize(prototypes_of(method, files).double(), dim=1))
        torch.testing.assert_close(model.cluster_scores(images).double(), expected, rtol=1e-4, atol=1e-5)
        if probe:
            weight, bias = probe_of(method, files)
            torch.testing.assert_close(model.clusters['linear'](codes.float()), F.conv2d(codes.float(), weight, bias))


def probe_of(method, files):
    """Weight and bias of the linear probe."""
    tensors = files[0]['linear_model_state_dict'] if method == 'hp' else files[0].get('state_dict', files[0])
    prefix = dict(hp='', cause='linear.f.').get(method, 'linear_probe.')
    return [tensors[f'{prefix}{name}'] for name in ('weight', 'bias')]


def test_primaps_has_both_sets_of_prototypes_with_their_lengths(tmp_path):
    vit = made.transformer()
    files = made.released('primaps', vit)
    _, model = build_released(read_released('primaps', made.write(files, tmp_path)))
    images = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        features = vit(images)[0]
        for name, prefix in (('cluster', 'cluster_probe.ema_model.'), ('student', 'seghead.')):
            weight = torch._weight_norm(*(files[0]['state_dict'][f'{prefix}weight_{part}'] for part in 'vg'), 0)
            torch.testing.assert_close(model.clusters[name](features), F.conv2d(features, weight))
        weight, bias = probe_of('primaps', files)
        torch.testing.assert_close(model.clusters['linear'](features), F.conv2d(features, weight, bias))


def parts_of_facts(method, tensors):
    """The head and the clusters of arrays of the official code in its layout."""
    named = {name: torch.from_numpy(value) for name, value in tensors.items()}
    path = 'released.ckpt'
    torch.save(named if method == 'cause' else dict(state_dict=named), path)
    parts = read_released(method, [path])
    if parts.neck is None:
        return None, MODELS.build(dict(parts.sets['cluster'].config, in_channels=parts.channels,
                                       n_clusters=parts.n_clusters)), parts
    width, dim = parts.neck_state['cluster1.0.weight'].size(1), parts.channels
    neck = MODELS.build(dict(parts.neck, in_channels=width, out_channels=dim)).eval()
    neck.load_state_dict(parts.neck_state)
    clusters = MODELS.build(dict(parts.sets['cluster'].config, in_channels=dim, n_clusters=parts.n_clusters))
    clusters.load_state_dict(parts.sets['cluster'].state)
    return neck, clusters, parts


def linear_of(parts):
    """The linear probe of a checkpoint."""
    found = parts.sets['linear']
    layer = MODELS.build(dict(dict(in_channels=parts.channels, n_clusters=2), **found.config))
    layer.load_state_dict(found.state)
    assert layer.n_clusters == parts.n_classes
    return layer


def test_the_command_knows_all_layouts():
    assert set(METHODS) == set(LAYOUTS) and {*METHODS, 'honest'} == set(CARDS)


@torch.no_grad()
def test_stego_by_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = facts('stego_eval')
    head = {f'net.{name}': value for name, value in arrays.items() if name.startswith('cluster') and '.' in name}
    neck, clusters, _ = parts_of_facts('stego', {**head, 'cluster_probe.clusters': arrays['clusters']})
    maps = [torch.from_numpy(arrays[name])[:, 1:].transpose(1, 2).reshape(1, -1, 5, 5)
            for name in ('tokens', 'tokens_flipped')]
    codes = (neck(maps[:1])[0] + neck(maps[1:])[0].flip(3)) / 2
    np.testing.assert_allclose(codes, arrays['code'], rtol=1e-4, atol=1e-6)
    scores = clusters(F.interpolate(codes, (40, 40), mode='bilinear', align_corners=False))
    np.testing.assert_allclose((2 * scores).log_softmax(1), arrays['log_probs'], rtol=1e-4, atol=1e-5)
    probe = facts('stego_linear_probe')
    layer = {f'linear_probe.{name}': probe[name] for name in ('weight', 'bias')}
    _, _, parts = parts_of_facts('stego', {**head, 'cluster_probe.clusters': arrays['clusters'], **layer})
    logits = F.interpolate(linear_of(parts)(torch.from_numpy(probe['code'])), (9, 9), mode='bilinear')
    np.testing.assert_allclose(logits, probe['logits'], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_hp_by_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = facts('hp_featurizer')
    tensors = {f'net_model_state_dict.{name[7:]}': value
               for name, value in arrays.items() if name.startswith('before/')}
    torch.save(dict(net_model_state_dict={name.partition('.')[2]: torch.from_numpy(value)
                                          for name, value in tensors.items()},
                    cluster_model_state_dict=dict(clusters=torch.randn(4, 6))), 'hp.pth')
    parts = read_released('hp', ['hp.pth'])
    neck = MODELS.build(dict(parts.neck, in_channels=16, out_channels=6)).eval()
    neck.load_state_dict(parts.neck_state)
    np.testing.assert_allclose(neck([torch.from_numpy(arrays['feat'])])[0], arrays['code'], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_smooseg_by_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = facts('smooseg')
    head = {name: value for name, value in arrays.items() if name.startswith('projection.')}
    neck, clusters, _ = parts_of_facts('smooseg', {**head, 'prediction.global_clusters': arrays['global_clusters']})
    codes = neck([torch.from_numpy(arrays['feats'])])[0]
    np.testing.assert_allclose(codes, arrays['code'], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(clusters(codes), arrays['inner_global'], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_cause_by_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays, probe = facts('cause_heads'), facts('cause_cluster_probe')
    head = {name[4:]: value for name, value in arrays.items() if name.startswith('mlp.')}
    assert list(head) == arrays['mlp_keys'].tolist()
    # the array is of the head that trains; the one that predicts is its average
    head.update((name.replace('head.', 'head_ema.', 1), value) for name, value in list(head.items())
                if name.startswith('head.'))
    neck, clusters, parts = parts_of_facts('cause', {**head, 'cluster_probe': probe['cluster_probe']})
    codes = neck([torch.from_numpy(arrays['feat']).transpose(1, 2).reshape(2, 12, 4, 4)])[0]
    np.testing.assert_allclose(codes.flatten(2).transpose(1, 2), arrays['mlp_head'], rtol=1e-4, atol=1e-6)
    assert parts.n_classes == 5
    np.testing.assert_allclose(linear_of(parts)(codes), arrays['mlp_linear'], rtol=1e-4, atol=1e-5)
    codes = torch.from_numpy(probe['x']).transpose(1, 2).reshape(2, 6, 4, 4)
    np.testing.assert_allclose((3 * clusters(codes)).log_softmax(1), probe['crf_log_probs'], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_transformer_head_of_cause_by_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = facts('cause_heads')
    tensors = {name[3:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith('tr.')}
    assert list(tensors) == arrays['tr_keys'].tolist()
    tensors.update((name.replace('head.', 'head_ema.', 1), value) for name, value in list(tensors.items())
                   if name.startswith('head.'))
    torch.save({**tensors, 'cluster_probe': torch.randn(5, 6)}, 'segment_tr.pth')
    with pytest.raises(ValueError, match='it lacks codebook, whose codes its transformer head reads: .* modular.npy'):
        read_released('cause', ['segment_tr.pth'])
    np.save('modular.npy', arrays['codebook'])
    parts = read_released('cause', ['segment_tr.pth', 'modular.npy'])
    neck = MODELS.build(dict(parts.neck, in_channels=parts.width, out_channels=parts.channels, n_cells=16)).eval()
    neck.load_state_dict(parts.neck_state)
    codebook = Codebook(7, 12)
    codebook.fit(parts.codebook)
    codes = neck(codebook([torch.from_numpy(arrays['feat']).transpose(1, 2).reshape(2, 12, 4, 4)]))[0]
    np.testing.assert_allclose(codes.flatten(2).transpose(1, 2), arrays['tr_head'], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(linear_of(parts)(codes), arrays['tr_linear'], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_primaps_by_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = facts('primaps_probes')
    weight = arrays['weight_v']
    ones = np.ones((len(weight), 1, 1, 1), np.float32)
    _, clusters, parts = parts_of_facts('primaps', {
        'cluster_probe.cluster_centers.weight_g': ones, 'cluster_probe.cluster_centers.weight_v': weight,
        'seghead.weight_g': ones, 'seghead.weight_v': weight})
    clusters.load_state_dict(parts.sets['cluster'].state)
    np.testing.assert_allclose(clusters(torch.from_numpy(arrays['x'])), arrays['similarities'], rtol=1e-4, atol=1e-6)


class _Settings:
    """What omegaconf leaves in a file: a class of a package that may not be there."""

    def __init__(self, content):
        self.content = content


@pytest.fixture
def settings_class(monkeypatch):
    module = ModuleType('omegaconf.dictconfig')
    _Settings.__module__ = 'omegaconf.dictconfig'
    _Settings.__qualname__ = _Settings.__name__ = 'DictConfig'
    module.DictConfig = _Settings
    monkeypatch.setitem(sys.modules, 'omegaconf', ModuleType('omegaconf'))
    monkeypatch.setitem(sys.modules, 'omegaconf.dictconfig', module)
    return _Settings


def test_settings_beside_the_tensors_are_not_looked_for(settings_class, tmp_path, monkeypatch):
    files = made.released('stego', made.transformer())
    files[0]['hyper_parameters']['cfg'] = settings_class(dict(kind=dict, type=settings_class))
    paths = made.write(files, tmp_path)
    monkeypatch.delitem(sys.modules, 'omegaconf.dictconfig')
    assert read_released('stego', paths).channels == made.DIM


def test_settings_say_which_features_codes_are_made_of(settings_class, tmp_path):
    stego, primaps = (made.released(method, made.transformer()) for method in ('stego', 'primaps'))
    assert read_released('stego', made.write(stego, tmp_path)).outputs(12) == ['tokens']
    # as omegaconf keeps a dict and what is in it
    node, config = settings_class('x'), settings_class('x')
    vars(node).update(_val='KK')
    vars(config).update(_content=dict(dino_feat_type=node, dino_patch_size=8))
    stego[0]['hyper_parameters']['cfg'] = config
    assert read_released('stego', made.write(stego, tmp_path)).outputs(12) == ['keys']
    primaps[0]['hyper_parameters']['opts'].dino_block = 2
    assert read_released('primaps', made.write(primaps, tmp_path)).outputs(12) == ['tokens.10']


class _Program:

    def __reduce__(self):
        return exec, ('import pathlib; pathlib.Path("ran").touch()', )


def test_code_in_a_checkpoint_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = made.released('stego', made.transformer())
    files[0]['hyper_parameters']['cfg'] = _Program()
    with pytest.raises(ValueError, match=r'released_0.ckpt wants to load exec, .* nothing was loaded. A released'):
        read_released('stego', made.write(files, tmp_path))
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('name, value, words', [
    ('cluster_probe.clusters', torch.tensor(1.), 'cluster_probe.clusters of shape .., which is to have 2 dimensions'),
    ('cluster_probe.clusters', torch.zeros(0, 5), r'cluster_probe.clusters of shape .0, 5., .* none of length 0'),
    ('cluster_probe.clusters', torch.ones(6, 5).to_sparse(), 'it lacks cluster_probe.clusters: download it again'),
    ('cluster_probe.clusters', torch.ones(6, 5, device='meta'), 'it lacks cluster_probe.clusters: download it again'),
    ('cluster_probe.clusters', torch.ones(1, 5), 'does not fit the model .*, n_clusters must be at least 2, but it '),
    ('net.cluster1.0.weight', torch.ones(5), 'net.cluster1.0.weight of shape .5,., which is to have 4 dimensions'),
    ('linear_probe.weight', torch.ones(6, 5), 'linear_probe.weight of shape .6, 5., which is to have 4 dimensions'),
    ('linear_probe.bias', torch.ones(9), 'size mismatch for .*linear.* in current model is torch.Size..6..: take the')])
def test_tensors_of_other_shapes_and_kinds(name, value, words, tmp_path):
    files = made.released('stego', made.transformer())
    files[0]['state_dict'][name] = value
    with pytest.raises(ValueError, match=words):
        build_released(read_released('stego', made.write(files, tmp_path)))


def test_files_that_are_damaged_or_hold_circles(tmp_path):
    files = made.released('hp', made.transformer())
    files[0]['circle'] = files[0]
    path, = made.write(files, tmp_path)
    assert read_released('hp', [path]).channels == made.DIM
    content = bytearray((tmp_path / 'released_0.ckpt').read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / 'flipped.ckpt').write_bytes(content)
    with pytest.raises(ValueError, match='flipped.ckpt is corrupted, the checksum of .* is wrong: download it again'):
        read_released('hp', [str(tmp_path / 'flipped.ckpt')])
    for name, array in (('text', np.array(['a'])), ('complex', np.zeros(2, complex)), ('zip', None)):
        if array is None:
            np.savez(tmp_path / name, a=np.zeros(2))
            (tmp_path / 'zip.npz').rename(tmp_path / 'zip.npy')
        else:
            np.save(tmp_path / name, array)
        with pytest.raises(ValueError, match=f'{name}.npy cannot be read as an array of numbers: download it again'):
            read_released('cause', [str(tmp_path / f'{name}.npy')])


def test_what_is_read_is_not_replaced(tmp_path):
    path, = made.write(made.released('stego', made.transformer()), tmp_path)
    before = (tmp_path / 'released_0.ckpt').read_bytes()
    with pytest.raises(ValueError, match='released_0.ckpt is to be read and would be lost: choose another name'):
        convert_released('stego', [path], path, force=True)
    assert (tmp_path / 'released_0.ckpt').read_bytes() == before


def test_what_does_not_fit_is_said_before_anything_is_written(tmp_path):
    vit = made.transformer()
    target, other = tmp_path / 'model.pth', tmp_path / 'other.pth'
    torch.save(made.transformer(128).state_dict(), other)

    def refused(files, method, words, backbone=None):
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            convert_released(method, made.write(files, tmp_path), str(target), backbone)
        assert not target.exists()

    eagle, cause = made.released('eagle', vit), made.released('cause', vit)
    refused(eagle, 'stego', 'is a checkpoint of EAGLE, of which it has train_cluster_probe_eigen.clusters, not of '
            'STEGO')
    refused([dict(a=torch.ones(1))], 'hp', 'no checkpoint of HP: it has no tensor net_model_state_dict.cluster1.0')
    refused(cause, 'cause', 'does not hold the weights of its backbone: give the weights of its backbone by --backbone')
    refused(cause, 'cause', 'for features of 64 channels, but those of .* have 128: it is of another', str(other))
    refused(cause[:1], 'cause', 'it lacks cluster_probe: name the file of the clusters too, cluster_mlp.pth')
    refused(eagle, 'eagle', 'holds the weights of its backbone, and --backbone names others', str(other))
    without_bias = made.released('stego', vit)
    del without_bias[0]['state_dict']['linear_probe.bias']
    refused(without_bias, 'stego', 'is no whole checkpoint of STEGO, it lacks linear_probe.bias: download it again')
    primaps, cause_tr = made.released('primaps', vit), made.released('cause_tr', vit)
    primaps[0]['state_dict']['cluster_probe.ema_model.weight_v'][0] = float('nan')
    refused(primaps, 'primaps', 'no finite numbers in 1 tensors, such as cluster.classifiers.0.weight')
    cause_tr[1]['codebook'][0] = float('inf')
    refused(cause_tr, 'cause', 'no finite numbers in 1 tensors, such as codebook')
    refused(cause, 'cause', "there is no file of weights '.*nowhere.pth': name another one .--backbone FILE", str(
        tmp_path / 'nowhere.pth'))
    refused([*made.released('stego', vit), {}], 'stego', 'a checkpoint of STEGO is one file, and .* are 2: name one')
    refused([*cause, dict(cause_probe=1, cluster_probe=torch.zeros(6, 5))], 'cause',
            'released_2.ckpt and a file before it hold different tensors cluster_probe: name the files of one')
    eagle[0]['state_dict']['net.cluster1.0.weight'][0] = float('nan')
    refused(eagle, 'eagle', 'no finite numbers in 1 tensors, such as cluster1.0.weight')
