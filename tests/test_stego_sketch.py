"""A method of another family in a page: what is fitted to frozen features, compared with those of a partner image."""
import os.path as osp

import numpy as np
import pytest
import torch
from torch import nn

from mmseg_unsup.apis import UnsupInferencer
from mmseg_unsup.datasets import ViewDataset
from mmseg_unsup.engine.hooks.fit_hook import START, FitHook
from mmseg_unsup.functional import unit
from mmseg_unsup.models.segmentors import ClusterSegmentor
from mmseg_unsup.registry import DATASETS, HOOKS, MODELS
from .conftest import NO_WORKERS, write_camvid

CONFIG = '''
_base_ = ['mmseg_unsup::_base_/models/r18_fpn.py', 'mmseg_unsup::_base_/view_training.py',
          'mmseg_unsup::_base_/datasets/camvid.py']
from mmseg_unsup.presets import labelled_probe_loader
model = dict(
    type='mmseg_unsup.Correspondences',
    backbone=dict(_delete_=True, type='mmseg_unsup.FrozenBackbone', backbone={{_base_.model.backbone}}, out=[-1]),
    neck=dict(_delete_=True, type='mmseg_unsup.Projection', in_channels=512, out_channels=16),
    decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=16, n_clusters={{_base_.n_clusters}},
                     clusters=dict(cluster=dict(type='mmseg_unsup.CosineClusterSet'))),
    test_cfg=dict(cluster_sets=['cluster', 'fresh']))
train_dataloader = dict(dataset=dict(type='mmseg_unsup.PairDataset'))
labelled_probe_dataloader = labelled_probe_loader(
    dict(type='mmseg_unsup.CamVidDataset', data_root={{_base_.data_root}},
         data_prefix=dict(img_path='images/train', seg_map_path='labels/train')),
    size=128, batch_size=2, num_workers=0)
default_hooks = dict(
    neighbours=dict(type='mmseg_unsup.NeighbourHook'),
    probes=dict(type='mmseg_unsup.ProbeHook', on_val=True, probes=[dict(type='mmseg_unsup.LinearProbe', epochs=2)]))
val_evaluator = test_evaluator = [
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='cluster'),
    dict(type='mmseg_unsup.ClusterIoUMetric', prediction='linear', match='identity', prefix='linear')]
'''


@DATASETS.register_module()
class PairDataset(ViewDataset):
    """The views of an image, and those of its nearest neighbour."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.neighbours = torch.zeros(len(self), dtype=torch.long).share_memory_()

    def _views(self, idx: int, replaced: bool) -> dict:
        own, partner = super()._views(idx, replaced), super()._views(int(self.neighbours[idx]), False)
        return dict(own, inputs=own['inputs'][:1] + partner['inputs'][:1])


@HOOKS.register_module()
class NeighbourHook(FitHook):
    """Which image is most like each, by the mean of its frozen features."""
    moment, name = START, 'neighbours'

    def begin(self, model, n_images, key, device) -> None:
        self._means = torch.zeros(n_images, model.neck.in_channels)

    def add(self, batch) -> None:
        maps = batch.made('backbone', lambda model, views, samples: model.backbone(views[0])[-1])
        self._means[batch.sample_indices] = unit(batch.select(maps)).mean((2, 3))

    def finish(self) -> None:
        rows = unit(self._means)
        self.neighbours = (rows @ rows.t()).fill_diagonal_(-1).argmax(1)

    def use(self, runner, model) -> None:
        runner.train_dataloader.dataset.neighbours.copy_(self.neighbours)


@MODELS.register_module()
class Projection(nn.Module):
    """A linear layer and one with a hidden layer, side by side."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.linear = nn.Conv2d(in_channels, out_channels, 1)
        hidden = nn.Conv2d(in_channels, in_channels, 1)
        self.bent = nn.Sequential(hidden, nn.ReLU(), nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, maps):
        return (self.linear(maps[-1]) + self.bent(maps[-1]), )


@MODELS.register_module()
class Correspondences(ClusterSegmentor):
    """Codes of two images agree where their frozen features do (equation 4 of arXiv 2203.08414)."""

    def loss(self, inputs, data_samples):
        maps = [self.backbone(images) for images in inputs]
        frozen, codes = [unit(m[-1]) for m in maps], [unit(self.neck(m)[0]) for m in maps]
        scores = self.clusters['cluster'](codes[0].detach())
        return dict(loss_self=correspondence(frozen[0], frozen[0], codes[0], codes[0], shift=0.2),
                    loss_partner=correspondence(*frozen, *codes, shift=0.1), loss_cluster=-scores.amax(1).mean())


def correspondence(f, g, c, d, shift):
    """Unit maps (N, C, h, w) of two images, frozen and coded -> the mean of -(F - shift) max(S, 0), F centred."""
    of_features, of_codes = (torch.einsum('nchw,ncij->nhwij', a, b) for a, b in ((f, g), (c, d)))
    centred = of_features - of_features.mean((3, 4), keepdim=True)
    return -((centred - centred.mean() + of_features.mean() - shift) * of_codes.clamp(min=0)).mean()


def test_correspondence_cell_by_cell():
    f, g, c, d = (unit(torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(i)).double()) for i in range(4))
    of_features = np.stack([(f[n].flatten(1).t() @ g[n].flatten(1)).numpy() for n in range(2)])
    total = 0.
    for n in range(2):
        for a in range(4):
            row = of_features[n, a]
            for b in range(4):
                code = float(c[n].flatten(1)[:, a] @ d[n].flatten(1)[:, b])
                total -= (row[b] - row.mean() + of_features.mean() - 0.1) * max(code, 0.) / 32
    assert float(correspondence(f, g, c, d, shift=0.1)) == pytest.approx(total, rel=1e-5)


@pytest.mark.slow
def test_it_trains_predicts_and_is_exported(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_camvid(tmp_path / 'data')
    (tmp_path / 'sketch.py').write_text(CONFIG)
    tool('train', 'sketch.py', '--work-dir', 'run', '--cfg-options', *NO_WORKERS, 'data_root=data', 'init=None',
         'size=128', 'model.backbone.backbone.base_channels=8', 'model.backbone.backbone.stem_channels=8',
         'model.neck.in_channels=64', 'train_dataloader.batch_size=2', 'train_cfg.max_epochs=2',
         'train_cfg.val_interval=1')
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert log.count('probe linear:') == 2 and log.count('linear/mIoU') == 2
    epochs = [torch.load(tmp_path / 'run' / f'epoch_{i}.pth', weights_only=False)['state_dict'] for i in (1, 2)]
    moved = {name.split('.')[0] for name in epochs[0] if not torch.equal(epochs[0][name], epochs[1][name])}
    assert moved == {'neck', 'decode_head'}
    tool('predict', 'run', 'data/images/val', '--out', 'maps')
    tool('gallery', 'run', 'data/images/val', '--out', 'gallery.html')
    tool('export', 'run', 'model.onnx', '--images', 'data/images/val')
    inferencer = UnsupInferencer.from_pretrained('run', show_progress=False)
    image = next(path for path in sorted((tmp_path / 'data' / 'images' / 'val').rglob('*.jpg')))
    ids = inferencer(str(image))['predictions'][0]['ids']
    assert inferencer.model.cluster_identity()[0] == 'cluster' and len(np.unique(ids)) > 1
    assert osp.getsize('gallery.html') > 10_000 and osp.getsize('model.onnx') > 10_000
    assert len(list((tmp_path / 'maps').rglob('*.png'))) >= 4
