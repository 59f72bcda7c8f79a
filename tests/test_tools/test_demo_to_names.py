"""A checkpoint of the demonstration becomes a page, names, maps and ONNX, by the commands of the README."""
import json
import re

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from mmseg_unsup.apis import ClusterNames
from ..browser import check_console, open_browser
from ..conftest import run_log, run_tool
from ..test_apis.test_gallery_in_browser import BLANK_PICTURES, Page
from .test_train_and_test import SMALL, config


@pytest.mark.long
def test_from_the_demo_to_named_classes(tmp_path):
    options = ['--cfg-options', *SMALL, 'n_clusters=6', 'train_cfg.max_epochs=1']
    run_tool('train.py', config('picie_fpn_demo'), *options, cwd=tmp_path)
    model = config('picie_fpn_demo'), 'work_dirs/picie_fpn_demo/epoch_1.pth'
    images, labels = (f'data/procedural_scenes/{folder}/val' for folder in ('images', 'labels'))
    run_tool('analysis_tools/gallery.py', *model, images, '--labels', labels, '--out', 'GALLERY.html', *options,
             cwd=tmp_path)
    with open_browser(tmp_path) as browser:
        page = Page(browser, tmp_path / 'GALLERY.html')
        for card in page.all('.card'):
            page.run('arguments[0].scrollIntoView()', card)
        page.wait(lambda: page.run(BLANK_PICTURES, 'img') == 0)
        page.select(1, 4)
        page.one('#merge').click()
        page.rename(0, 'sky')
        page.rename(1, 'anything else')
        page.download(tmp_path)
        score = float(page.texts('#named-score dd')[0])
        check_console(browser)
    names = ClusterNames.load(str(tmp_path / 'clusters.json'))
    assert names.names == ['sky', 'anything else', 'cluster 2', 'cluster 3', 'cluster 5']
    assert names.table.tolist() == [0, 1, 2, 3, 1, 4]

    named = ['--clusters', 'clusters.json']
    # the page looks at whole images in float32, and counts a class as its most frequent label
    run_tool('test.py', *model, *named, *options, 'test_evaluator.0.match=majority',
             'default_hooks.precision.without_gradient=float32',
             'test_dataloader.**.ResizeForEvaluation.protocol=full_resolution', cwd=tmp_path)
    tested = run_log(tmp_path / 'work_dirs' / 'picie_fpn_demo')
    assert float(re.search(r'Epoch\(test\).*?mIoU: ([\d.]+)', tested)[1]) == pytest.approx(score, abs=0.006)
    run_tool('predict.py', *model, images, '--out', 'PREDICTED', '--size', 160, *named, *options, cwd=tmp_path)
    report = json.loads((tmp_path / 'PREDICTED' / 'predictions.json').read_text())
    assert report['classes'] == names.names and len(report['images']) == 48
    run_tool('export.py', *model, 'model.onnx', '--images', images, '--size', 160, *named, *options, cwd=tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / 'model.onnx'))
    assert json.loads(session.get_modelmeta().custom_metadata_map['names']) == names.names
    for name in list(report['images'])[::10]:
        image = np.asarray(Image.open(tmp_path / images / name), np.float32).transpose(2, 0, 1)[None]
        written = np.asarray(Image.open(tmp_path / 'PREDICTED' / 'maps' / name))
        assert (session.run(None, {'image': image})[0][0] == written).mean() >= 0.999
