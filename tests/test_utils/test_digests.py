"""Hashes against those of other programs."""
import hashlib
import os
import shutil
import subprocess

import pytest

from mmseg_unsup.utils.digests import file_digests, git_tree, has_digest


def test_digests_of_a_file(tmp_path):
    content = os.urandom(2_500_000)
    path = tmp_path / 'a'
    path.write_bytes(content)
    assert file_digests(str(path), ['md5', 'sha256']) == dict(
        md5=hashlib.md5(content).hexdigest(), sha256=hashlib.sha256(content).hexdigest())
    digits = hashlib.sha1(content).hexdigest()
    assert has_digest(str(path), f'sha1:{digits}') and has_digest(str(path), f'sha1:{digits[:6]}')
    assert not has_digest(str(path), f'sha1:{digits[1:]}') and not has_digest(str(tmp_path / 'b'), 'md5:')


def test_the_id_of_a_folder_is_that_of_git(tmp_path):
    if shutil.which('git') is None:
        pytest.skip('there is no git')
    for name, content in {'b.png': b'1', 'a b.png': b'', 'Ä.png': b'\0\r\n', 'a.png': b'2' * 1000}.items():
        (tmp_path / name).write_bytes(content)
    git = ['git', '-c', 'core.autocrlf=false', '-c', 'safe.directory=*']
    for words in (['init', '-q'], ['add', '.'], ['write-tree']):
        done = subprocess.run([*git, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    shutil.rmtree(tmp_path / '.git')
    assert git_tree(str(tmp_path)) == done.stdout.strip()
    (tmp_path / 'a.png').write_bytes(b'3' * 1000)
    assert git_tree(str(tmp_path)) != done.stdout.strip()
