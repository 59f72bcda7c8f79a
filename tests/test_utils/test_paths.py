"""Where a path that is not there yet begins."""
import os

import pytest

from mmseg_unsup.utils.paths import nearest_existing


@pytest.mark.parametrize('path, expected', [
    ('My Photos', 'My Photos'),
    ('My Photos/a/b', 'My Photos'),
    ('a/b', '.'),
    ('My Photos/file/b', 'My Photos/file'),
    ('My Photos/link/b', 'My Photos/link'),
])
def test_the_nearest_that_is_there(path, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir('My Photos')
    (tmp_path / 'My Photos' / 'file').touch()
    (tmp_path / 'My Photos' / 'link').symlink_to('gone')
    assert nearest_existing(path) == os.path.abspath(expected)
