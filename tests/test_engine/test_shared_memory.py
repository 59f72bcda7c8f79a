"""What data workers need of /dev/shm, before they die of it."""
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

from mmseg_unsup.datasets.transforms.formatting import stack_views
from mmseg_unsup.engine import shared_memory


class Images(torch.utils.data.Dataset):

    def __len__(self):
        return 100

    def __getitem__(self, idx):
        torch.rand(1)
        sample = SegDataSample(metainfo=dict(img_path='x'))
        sample.set_data(dict(gt_sem_seg=PixelData(data=torch.zeros(1, 8, 8, dtype=torch.uint8))))
        return dict(inputs=[torch.zeros(3, 8, 8, dtype=torch.uint8)] * 2, data_samples=sample)


BYTES = (2 * 3 + 1) * 8 * 8


def warned(monkeypatch, free, processes=1, **settings):
    lines = []
    monkeypatch.setattr(shared_memory, 'say', lambda text, level: lines.append(text))
    monkeypatch.setattr(shared_memory, 'free_shared_memory', lambda: free)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
    shared_memory.warn_of_shared_memory(DataLoader(Images(), batch_size=10, collate_fn=stack_views, **settings))
    return lines


@pytest.mark.parametrize('settings, n_batches', [
    (dict(num_workers=3), 6), (dict(num_workers=3, prefetch_factor=5), 15), (dict(num_workers=3, processes=2), 12)])
def test_a_warning_when_the_batches_do_not_fit(monkeypatch, settings, n_batches):
    needed, before = n_batches * 10 * BYTES, torch.random.get_rng_state()
    assert not warned(monkeypatch, needed, **settings) and not warned(monkeypatch, None, **settings)
    line, = warned(monkeypatch, needed - 1, **settings)
    assert '--shm-size=1g' in line and 'train_dataloader.num_workers' in line
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_worker_needs_none(monkeypatch):
    assert not warned(monkeypatch, 0, num_workers=0)
