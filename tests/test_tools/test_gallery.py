"""``mmseg-unsup gallery`` as a user runs it."""
import re

import pytest

from ..test_apis.tiny_gallery import page_data, small_config, write_checkpoint, write_data
from .test_train_and_test import SMALL, config



def test_gallery(tmp_path, tool, capsys):
    write_data(tmp_path)
    checkpoint, _ = write_checkpoint(small_config(), tmp_path / 'model.pth', 4)
    (tmp_path / 'images' / '002.jpg').write_bytes(b'')
    images, out = tmp_path / 'images', tmp_path / 'page.html'
    arguments = ['gallery', config('picie_fpn_camvid'), checkpoint, images, '--out', out, '--cfg-options', *SMALL]
    tool(*arguments, '--labels', tmp_path / 'labels', '--match', 'majority', '--on-error', 'skip', '--places', 2,
         '--typical', 1)
    printed = capsys.readouterr().out
    assert f'left out, unreadable: {images / "002.jpg"}' in printed
    assert re.search(rf'9 images, 4 clusters, [\d.]+ s: {re.escape(str(out))} \(0\.\d MB\)$', printed.strip())
    text, data = out.read_text(), page_data(out)
    assert 'each to its best label by the number of pixels' in text
    assert max(len(cluster['places']) for cluster in data['clusters']) == 2
    assert max(len(cluster['images']) for cluster in data['clusters']) == 1
    with pytest.raises(ValueError, match='002.jpg: it is empty'):
        tool(*arguments)
    with pytest.raises(FileNotFoundError, match='give the folder of label maps'):
        tool(*arguments, '--labels', tmp_path / 'none')
    with pytest.raises(SystemExit, match='2'):
        tool(*arguments, '--typical', 0)
    assert '--typical: it must be a whole number of at least 1' in capsys.readouterr().err
    assert out.read_text() == text
