"""Clusters of objects through the runner, on eight images."""
import os.path as osp

import numpy as np
import torch
from PIL import Image

from mmseg_unsup.evaluation.functional import fit_descriptor_kmeans
from .test_mask_contrast_training import folders, tiny_config, tiny_runner  # noqa: F401
from ..test_models.test_object_segmentor import described

OPTIONS = dict(
    n_clusters=3, eval_size=32, train_cfg__val_interval=1, model__decode_head__saliency_threshold=-10.,
    probe_dataloader__num_workers=0, probe_dataloader__batch_size=3, val_dataloader__num_workers=0,
    val_dataloader__batch_size=3, test_dataloader__num_workers=0)


def test_clusters_of_the_training_images_predict_and_stay(folders, tmp_path):  # noqa: F811
    maps = tmp_path / 'maps'
    runner = tiny_runner(folders, tmp_path / 'run', out=str(maps), **OPTIONS)
    runner.train()
    model = runner.model
    descriptors = []
    order = list(runner._probe_dataloader.sampler)
    for start in range(0, 8, 3):  # whitening eight descriptors makes much of rounding: batches as the hook has them
        items = [runner._probe_dataloader.dataset[i] for i in order[start:start + 3]]
        views, metas = [item['inputs'][0] for item in items], [item['data_samples'].metainfo for item in items]
        images = model.data_preprocessor(dict(inputs=[views], data_samples=None))['inputs'][0]
        descriptors += [of_image[0] for of_image in described(model.eval(), images, metas)]
    weight, bias = fit_descriptor_kmeans(np.stack(descriptors), 3, seed=1234)
    np.testing.assert_allclose(model.clusters['objects'].weight, weight, rtol=1e-3, atol=1e-3)
    expected = 1 + (np.stack(descriptors) @ weight.T + bias).argmax(1)
    written = sorted(maps.rglob('*.png'))
    found = []
    for path in written:  # everything is salient, but the objects are those of the masks
        mask = osp.join(folders[1], path.relative_to(maps).with_suffix('').with_suffix('.png'))
        clusters, mask = np.array(Image.open(path)), np.array(Image.open(mask))
        found.append(clusters.max())
        assert set(np.unique(clusters)) == {0, found[-1]} and ((clusters > 0) != (mask > 0)).mean() < 0.05
    assert sorted(found) == sorted(expected)
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)['state_dict']
    assert torch.equal(saved['object_clusters.objects.weight'], model.clusters['objects'].weight)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'object clustering: 8 objects, 3 clusters' in log


def test_no_object_ends_no_run(folders, tmp_path):  # noqa: F811
    options = dict(OPTIONS, model__decode_head__saliency_threshold=1e4, model__test_cfg__masks=None)
    runner = tiny_runner(folders, tmp_path / 'run', out=str(tmp_path / 'maps'), **options)
    runner.train()
    assert not runner.model.clusters['objects'].is_fitted
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert '0 objects in the training images cannot form 3 clusters: lower model.decode_head.saliency_threshold' in log


def test_the_start_is_scored_without_a_checkpoint(folders, tmp_path, tool):  # noqa: F811
    cfg = tiny_config(folders, tmp_path / 'run', out=str(tmp_path / 'maps'), mask_root='not needed', **OPTIONS)
    cfg.pop('shortcuts')  # they name the weights that this network does without
    cfg.dump(str(tmp_path / 'tiny.py'))
    tool('test', tmp_path / 'tiny.py', 'none', '--work-dir', tmp_path / 'test')
    log = next((tmp_path / 'test').glob('*/*.log')).read_text()
    assert 'object clustering: 8 objects' in log and len(list((tmp_path / 'maps').rglob('*.png'))) == 8
