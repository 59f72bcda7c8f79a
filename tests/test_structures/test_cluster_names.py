import json

import numpy as np
import pytest
import torch

from mmseg_unsup.structures import ClusterNames, NamedClass
from mmseg_unsup.visualization import cluster_palette

IDENTITY = ('fresh', 5, '0123456789abcdef')


def names():
    return ClusterNames.identity(*IDENTITY)


def content(**changes):
    classes = [dict(name='sky', color=[1, 2, 3], clusters=[0, 2]), dict(name='Straße', color=[4, 5, 6], clusters=[1])]
    return dict(dict(format='mmseg_unsup.clusters', version=2, cluster_set='fresh', n_clusters=3,
                     fingerprint='0123456789abcdef', classes=classes), **changes)


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding='utf-8')
    return str(path)


def test_identity():
    built = names()
    assert built.names == [f'cluster {k}' for k in range(5)]
    assert (built.palette == cluster_palette(5)).all() and built.palette.dtype == np.uint8
    assert built.table.tolist() == [0, 1, 2, 3, 4]
    built.check(*IDENTITY)
    with_ground = ClusterNames.identity(*IDENTITY, background=0)  # of models that tell objects from it
    assert with_ground.names == ['background', *built.names[1:]] and (with_ground.palette == built.palette).all()


def test_renaming_and_merging_by_hand():
    built = names().renamed({3: 'sky', 'cluster 0': 'road'}).merged([[3, 1], ['cluster 4', 'road']])
    # places: of cluster 0 (merged with 4), of cluster 1 (merged with 3), of cluster 2
    assert built.names == ['cluster 4', 'sky', 'cluster 2']
    assert [of_class.clusters for of_class in built.classes] == [(0, 4), (1, 3), (2, )]
    assert built.table.tolist() == [0, 1, 2, 1, 0]
    assert (built.palette == cluster_palette(5)[[4, 3, 2]]).all()
    # a cluster stands for its class, whether it was merged or not
    assert built.renamed({1: 'air'}).names == ['cluster 4', 'air', 'cluster 2']
    assert built.merged([[2, 3]]).table.tolist() == [0, 1, 1, 1, 0]
    assert built.merged([[0, 4], []]) == built


def test_names_can_be_exchanged():
    assert names().renamed({0: 'cluster 1', 1: 'cluster 0'}).names[:2] == ['cluster 1', 'cluster 0']


def test_round_trip(tmp_path):
    built = names().renamed({0: 'Straße "A"', 1: 'sky'}).merged([[1, 2]])
    path = str(tmp_path / 'clusters.json')
    built.save(path)
    assert ClusterNames.load(path) == built and ClusterNames.load(path).path == path
    stored = json.loads((tmp_path / 'clusters.json').read_text(encoding='utf-8'))
    assert stored['classes'][1] == dict(name='sky', color=cluster_palette(5)[1].tolist(), clusters=[1, 2])
    assert (stored['format'], stored['version'], stored['n_clusters']) == ('mmseg_unsup.clusters', 2, 5)


def test_reading_by_hand(tmp_path):
    built = ClusterNames.load(write(tmp_path / 'clusters.json', content()))
    assert built.classes == (NamedClass('sky', (1, 2, 3), (0, 2)), NamedClass('Straße', (4, 5, 6), (1, )))


@pytest.mark.parametrize('change, message', [
    (lambda: names().renamed({5: 'sky'}), 'there is no cluster 5: the checkpoint has clusters 0 to 4'),
    (lambda: names().renamed({-1: 'sky'}), 'there is no cluster -1'),
    (lambda: names().renamed({'tree': 'sky'}), "there is no class 'tree': the classes are cluster 0, "),
    (lambda: names().renamed({0: 'sky', 1: 'sky'}),
     r"two classes have the name 'sky', one of cluster\(s\) \[0\], one of \[1\]: merge them"),
    (lambda: names().renamed({0: 'cluster 1'}), "two classes have the name 'cluster 1'"),
    (lambda: names().renamed({0: 'sky', 'cluster 0': 'road'}), "'cluster 0' cannot be both 'sky' and 'road'"),
    (lambda: names().renamed({0: ''}), 'must not be empty'),
    (lambda: names().renamed({0: ' sky'}), 'begin or end with a space'),
    (lambda: names().renamed({0: 'a\nb'}), 'line breaks'),
    (lambda: names().renamed({0: 7}), 'must be text, but one is 7'),
    (lambda: names().merged([[0, 7]]), 'there is no cluster 7'),
    (lambda: names().merged([[0, 1], [2, 1]]), "the class 'cluster 1' is in two of the groups"),
    (lambda: names().merged([[1.5]]), 'must be a whole number, but one is 1.5'),
])
def test_changes_that_cannot_be_made(change, message):
    with pytest.raises(ValueError, match=message):
        change()


def with_classes(*classes):
    keys = ('name', 'color', 'clusters')
    return content(classes=[dict(zip(keys, values)) for values in classes])


GREY = [9, 9, 9]


@pytest.mark.parametrize('value, message', [
    ('{', 'Expecting property name'),
    ([1], 'no JSON object with "format": "mmseg_unsup.clusters"'),
    (content(format='coco'), 'no JSON object with "format"'),
    (content(version=3), 'its version is 3, but this release reads versions 1 to 2'),
    (content(colour='red'), "the file has an unknown key 'colour'"),
    ({key: value for key, value in content().items() if key != 'classes'}, "the file lacks 'classes'"),
    (content(cluster_set=''), 'cluster_set must be the name'),
    (content(n_clusters='3'), "n_clusters must be a whole number from 1 on, but it is '3'"),
    (content(n_clusters=True), 'n_clusters must be a whole number'),
    (content(fingerprint='xyz'), "fingerprint must have 16 hexadecimal digits, but it is 'xyz'"),
    (content(classes={}), '"classes" must be a list'),
    (content(classes=['sky']), "a class must be an object with name, color and clusters, but one is 'sky'"),
    (content(classes=[dict(name='sky', clusters=[0])]), "the class 'sky' lacks 'color'"),
    (with_classes(('', GREY, [0, 1, 2])), 'must not be empty'),
    (with_classes((3, GREY, [0, 1, 2])), 'must be text, but one is 3'),
    (with_classes(('sky', [1, 2], [0, 1, 2])), "the color of 'sky' must be three whole numbers"),
    (with_classes(('sky', [1, 2, 256], [0, 1, 2])), 'from 0 to 255'),
    (with_classes(('sky', 'red', [0, 1, 2])), "but it is 'red'"),
    (with_classes(('sky', GREY, [])), 'a list of at least one'),
    (with_classes(('sky', GREY, 3)), 'a list of at least one, but they are 3'),
    (with_classes(('sky', GREY, [0, 1, 2, 3])), 'there is no cluster 3: the checkpoint has clusters 0 to 2'),
    (with_classes(('sky', GREY, [0, 1, '2'])), "must be a whole number, but one is '2'"),
    (with_classes(('sky', GREY, [0, 1]), ('tree', GREY, [1, 2])), "cluster 1 is listed twice, in 'sky' and in 'tree'"),
    (with_classes(('sky', GREY, [0, 0, 1, 2])), "cluster 0 is listed twice, in 'sky' and in 'sky'"),
    (with_classes(('sky', GREY, [0])), r'cluster\(s\) \[1, 2\] are in no class'),
    (with_classes(('sky', GREY, [0]), ('sky', GREY, [1, 2])), "two classes have the name 'sky'"),
])
def test_files_that_cannot_be_used(tmp_path, value, message):
    path = write(tmp_path / 'clusters.json', value)
    with pytest.raises(ValueError, match=message) as error:
        ClusterNames.load(path)
    assert path in str(error.value) and '\n' not in str(error.value)


def test_files_that_are_no_text(tmp_path):
    for text in (b'[' * 100_000, b'\x80\x04K\x01.', b'{"a": 1e999'):
        (tmp_path / 'odd.json').write_bytes(text)
        with pytest.raises(ValueError, match='cannot use the cluster names .*odd.json'):
            ClusterNames.load(str(tmp_path / 'odd.json'))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of cluster names '.*nowhere.json': .*mmseg-unsup name"):
        ClusterNames.load(str(tmp_path / 'nowhere.json'))


@pytest.mark.parametrize('other, message', [
    (('view1', 5, '0123456789abcdef'), "cluster_set='fresh', but the clusters of this checkpoint have 'view1'"),
    (('fresh', 6, '0123456789abcdef'), 'n_clusters=5, but the clusters of this checkpoint have 6'),
    (('fresh', 5, 'f' * 16), "fingerprint='0123456789abcdef', but .* have 'ffffffffffffffff': the names belong to "
     'another checkpoint'),
])
def test_names_of_another_checkpoint(tmp_path, other, message):
    path = str(tmp_path / 'clusters.json')
    names().save(path)
    with pytest.raises(ValueError, match=message) as error:
        ClusterNames.load(path).check(*other)
    assert path in str(error.value)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'clusters.json'
    names().save(str(path))
    before = path.read_bytes()
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr('os.replace', lambda *args: (_ for _ in ()).throw(OSError('disk full')))
        names().renamed({0: 'sky'}).save(str(path))
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ['clusters.json']


def test_fingerprint_of_values_and_shapes():
    from mmseg_unsup.functional import fingerprint
    tensor = torch.arange(6.).reshape(2, 3)
    assert fingerprint([tensor]) == fingerprint([tensor.double()]) == fingerprint([tensor.t().contiguous().t()])
    others = [tensor + 1e-6, tensor.reshape(3, 2), tensor.flatten()]
    assert len({fingerprint([other]) for other in [tensor, *others]}) == 4
    assert fingerprint([tensor, tensor]) != fingerprint([tensor])


def test_a_file_of_the_first_version_is_read(tmp_path):
    now = content()
    before = {'prototype_set' if key == 'cluster_set' else key: value for key, value in now.items()}
    path = write(tmp_path / 'clusters.json', dict(before, version=1))
    assert ClusterNames.load(path) == ClusterNames.load(write(tmp_path / 'now.json', now))
