"""An archive is data: its files are copied to where they belong, and nothing of it leads elsewhere."""
import errno
import io
import os
import resource
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from mmseg_unsup.utils.archives import opened_archive

PLACES = {'*/photos': 'images/train', 'top/labels': 'labels'}
FILES = {'top/photos/a.jpg': b'a', 'top/photos/more/b c.jpg': b'bb', 'other/photos/d.jpg': b'',
         'top/labels/ä.png': b'x', 'other/labels/no.png': b'no', 'top/photos.txt': b'no', 'README': b'no'}
EXPECTED = {'images/train/a.jpg': b'a', 'images/train/more/b c.jpg': b'bb', 'images/train/d.jpg': b'',
            'labels/ä.png': b'x'}


def write_zip(path, files=FILES, link=None) -> str:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, '/etc/passwd')
    return str(path)


def write_tar(path, files=FILES, link=None) -> str:
    with tarfile.open(path, 'w:gz' if str(path).endswith('gz') else 'w') as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, '/etc'
            archive.addfile(info)
    return str(path)


def unpack(path, folder) -> dict:
    with opened_archive(path, PLACES) as wanted:
        n_bytes = wanted.n_bytes
        wanted.copy_to(str(folder), 'it')
    found = {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob('*') if each.is_file()}
    assert n_bytes == sum(map(len, found.values()))
    return found


@pytest.mark.parametrize('write, name', [(write_zip, 'My Data.zip'), (write_tar, 'a.tar'), (write_tar, 'a.tar.gz')])
def test_files_go_to_their_places(write, name, tmp_path):
    assert unpack(write(tmp_path / name), tmp_path / 'out') == EXPECTED


@pytest.mark.parametrize('write', [write_zip, write_tar])
@pytest.mark.parametrize('name', ['../evil', 'top/photos/../../../evil', '/tmp/evil', 'top/photos/..\\..\\evil'])
def test_names_that_lead_elsewhere(write, name, tmp_path):
    path = write(tmp_path / 'a', {**FILES, name: b'evil'})
    with pytest.raises(ValueError, match='would lie elsewhere .*nothing was unpacked'):
        unpack(path, tmp_path / 'out')
    assert os.listdir(tmp_path) == ['a']


@pytest.mark.parametrize('write', [write_zip, write_tar])
def test_links(write, tmp_path):
    with pytest.raises(ValueError, match="'top/photos/link', which is a link or a device"):
        unpack(write(tmp_path / 'a', link='top/photos/link'), tmp_path / 'out')
    assert unpack(write(tmp_path / 'b', link='elsewhere/link'), tmp_path / 'out') == EXPECTED  # which nobody makes
    assert sorted(os.listdir(tmp_path / 'out')) == ['images', 'labels']


def test_damaged_archives(tmp_path):
    whole = open(write_zip(tmp_path / 'a.zip', {'top/photos/a.jpg': bytes(range(256)) * 40}), 'rb').read()
    with zipfile.ZipFile(tmp_path / 'a.zip') as archive:
        at = archive.infolist()[0].header_offset + 60
    texts = dict(cut=whole[:-40], turned=whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1:], page=b'<html>', no=b'')
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'^the archive .*{name} is cut off, damaged or of another kind'):
            unpack(str(tmp_path / name), tmp_path / 'out')


@pytest.mark.parametrize('write', [write_zip, write_tar])
@pytest.mark.parametrize('first, second', [('a', 'a/b'), ('a/b', 'a'), ('a', './a')])
def test_files_that_take_the_place_of_others(write, first, second, tmp_path):
    path = write(tmp_path / 'a', {f'top/photos/{first}': b'1', f'top/photos/{second}': b'2'})
    with pytest.raises(ValueError, match="has 'top/photos/.*' twice, or as a file and as a folder"):
        unpack(path, tmp_path / 'out')


@pytest.mark.parametrize('method', [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_damaged_contents(method, tmp_path):
    """Every kind of compression has errors of its own."""
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w', method) as archive:
        archive.writestr('top/photos/a.jpg', np.random.default_rng(0).bytes(3000))
    content = bytearray((tmp_path / 'a.zip').read_bytes())
    content[70:170] = bytes(100)
    (tmp_path / 'a.zip').write_bytes(content)
    with pytest.raises(ValueError, match='a.zip is cut off, damaged or of another kind'):
        unpack(str(tmp_path / 'a.zip'), tmp_path / 'out')


def test_the_front_of_an_archive_is_missing(tmp_path):
    write_zip(tmp_path / 'a.zip', {'top/photos/a.jpg': bytes(5000)})
    (tmp_path / 'a.zip').write_bytes((tmp_path / 'a.zip').read_bytes()[30:])
    with pytest.raises(ValueError, match='a.zip is cut off, damaged or of another kind'):
        unpack(str(tmp_path / 'a.zip'), tmp_path / 'out')


def test_a_size_that_is_a_lie(tmp_path):
    """No more is written than was announced, and looked for on the disk."""
    content = bytearray(open(write_zip(tmp_path / 'a.zip', {'top/photos/a.jpg': bytes(100_000)}), 'rb').read())
    at = content.index(b'PK\x01\x02') + 24  # in the directory, uncompressed size
    content[at:at + 4] = (1000).to_bytes(4, 'little')
    (tmp_path / 'a.zip').write_bytes(content)
    with opened_archive(str(tmp_path / 'a.zip'), PLACES) as wanted, pytest.raises(ValueError, match='is cut off, dam'):
        assert wanted.n_bytes == 1000
        wanted.copy_to(str(tmp_path / 'out'), 'it')
    assert (tmp_path / 'out' / 'images' / 'train' / 'a.jpg').stat().st_size <= 1000


def test_a_disk_that_is_full(tmp_path):
    path = write_zip(tmp_path / 'a.zip', {'top/photos/a.jpg': bytes(3_000_000)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OSError) as raised:
            unpack(path, tmp_path / 'out')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG and raised.value.filename.endswith('out/images/train/a.jpg')
