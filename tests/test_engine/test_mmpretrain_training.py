"""Every shipped config with a transformer or a backbone of mmpretrain trains: clustering, steps, evaluation,
checkpoint."""
import glob
import os.path as osp

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mmseg_unsup.registry import MODELS
from mmseg_unsup.utils.config import load_config, merge_options
from ..conftest import NO_WORKERS, ROOT, smooth_image
from ..mmpretrain_pair import mmpretrain_pair  # noqa: F401

pytestmark = pytest.mark.usefixtures('mmpretrain_pair')
CONFIGS = [path for path in sorted(glob.glob(osp.join(ROOT, 'configs', 'picie', '*.py')))
           if load_config(path).model.backbone.type.startswith(('mmpretrain.', 'mmseg_unsup.DINOViT'))]
# narrow networks, and the necks that they need
SMALL = dict(
    ResNet=(dict(base_channels=8, stem_channels=8), dict(in_channels=[8, 16, 32, 64])),
    ConvNeXt=(dict(arch=dict(depths=[1, 1, 1, 1], channels=[8, 12, 16, 20])), dict(in_channels=[8, 12, 16, 20])),
    DINOViT=(dict(arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=40)), dict(embed_dims=24)))


def name(path):
    return osp.splitext(osp.basename(path))[0]


@pytest.fixture(scope='module')
def camvid(tmp_path_factory):
    """Four training and two validation images of 72 x 96 px with labels."""
    root, rng = tmp_path_factory.mktemp('camvid'), np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 2)):
        for kind in ('images', 'labels'):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(root / 'images' / split / f'{i}.jpg'), smooth_image(rng, 72, 96))
            cv2.imwrite(str(root / 'labels' / split / f'{i}.png'), rng.integers(0, 11, (72, 96)).astype(np.uint8))
    return str(root)


def small_config(path: str, root: str, work_dir):
    """A shipped config on small images of CamVid, with a narrow network with random weights."""
    cfg = load_config(path, dict(init=None, n_clusters=3))
    size = 56 if cfg.model.backbone.get('patch_size') == 14 else 64
    backbone, neck = SMALL[cfg.model.backbone.type.split('.')[1]]
    cfg.model.backbone.update(backbone)
    cfg.model.neck.update(neck, out_channels=16)
    cfg.model.decode_head.in_channels = 16
    dataset = dict(type='mmseg_unsup.CamVidDataset', data_root=root)
    cfg.train_dataloader.dataset.dataset = cfg.probe_dataloader.dataset.dataset = dict(
        dataset, data_prefix=dict(img_path='images/train'))
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset = dict(dataset, pipeline=loader.dataset.pipeline,
                              data_prefix=dict(img_path='images/val', seg_map_path='labels/val'))
    merge_options(cfg, {key: {'0': 0, 'False': False}[value] for key, value in
                        (option.split('=') for option in NO_WORKERS)})
    merge_options(cfg, {'size': size, 'train_dataloader.batch_size': 2, 'probe_dataloader.batch_size': 2,
                        'val_dataloader.batch_size': 1, 'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1})
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'mmpretrain_{work_dir.name}'
    return cfg


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_two_iterations(camvid, tmp_path, path):
    cfg = small_config(path, camvid, tmp_path)
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 2
    after = runner.model.state_dict()
    assert all(value.isfinite().all() for value in after.values() if value.is_floating_point())
    names = [name for name, _ in runner.model.named_parameters()
             if not name.startswith(('target_generator.', 'decode_head.'))]
    assert len(names) > 20 and not [name for name in names if torch.equal(before[name], after[name])]
    assert 0 <= runner.message_hub.get_scalar('val/mIoU').current() <= 100
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert checkpoint['meta']['weights_seen'] == 'none'


def test_images_that_are_no_multiple_of_a_patch(camvid, tmp_path):
    """They are resized to whole patches, and the map spans the image."""
    cfg = small_config(osp.join(ROOT, 'configs', 'picie', 'picie_fpn_camvid_vit-s16.py'), camvid, tmp_path)
    model = MODELS.build(cfg.model)
    model.eval()
    model.clusters['fresh'].fit(torch.randn(3, 16, generator=torch.Generator().manual_seed(0)))
    model.test_cfg.cluster_sets = ['fresh']
    image = torch.from_numpy(smooth_image(np.random.default_rng(0), 50, 70)).permute(2, 0, 1)
    sample = SegDataSample(metainfo=dict(img_shape=(50, 70), ori_shape=(50, 70)))
    found, = model.test_step(dict(inputs=[image], data_samples=[sample]))
    mean, std = ([*cfg.model.data_preprocessor[key]] for key in ('mean', 'std'))
    normalised = (image.flip(0) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    whole = F.interpolate(normalised[None], (48, 64), mode='bilinear')
    with torch.no_grad():
        feats = F.normalize(model.extract_feat(whole)[0], dim=1)
    assert feats.shape[2:] == (12, 16)  # a quarter of a patch each
    head = model.clusters['fresh'].weight
    scores = torch.einsum('nchw,kc->nkhw', feats, head) - head.square().sum(1)[:, None, None] / 2
    scores = F.interpolate(scores, (50, 70), mode='bilinear')[0]
    torch.testing.assert_close(found.seg_logits.data, scores, atol=1e-4, rtol=1e-4)
    assert torch.equal(found.pred_sem_seg.data[0], found.seg_logits.data.argmax(0))
