"""The codebook: the same for any batches and ranks, fitted once, and refused where it cannot be."""
import threading
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner

from mmseg_unsup.engine.hooks import CodebookHook
from mmseg_unsup.engine.hooks import codebook_hook
from mmseg_unsup.models.losses.modularity_loss import modularity_loss
from mmseg_unsup.utils.random import keyed_generator
from mmseg_unsup.utils.run_logs import labels_seen
from ..conftest import write_images
from .resuming import resumable_config, train
from .tiny import tiny_runner

N_IMAGES, N_CODES, CHANNELS = 7, 6, 5


class Batch:
    """Maps of images, by their positions."""

    def __init__(self, maps: torch.Tensor, positions: list) -> None:
        self.positions, self._maps = positions, maps[positions]

    def backbone_map(self, index):
        return self._maps


class Model:
    """What the hook asks of one."""

    def __init__(self) -> None:
        self.codebook, self.neck = torch.nn.Linear(CHANNELS, N_CODES), SimpleNamespace(in_index=0)


@pytest.fixture
def maps() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(4, CHANNELS, generator=generator)[torch.randint(4, (N_IMAGES, 5, 7), generator=generator)]
    return (groups + 0.3 * torch.randn(groups.shape, generator=generator)).permute(0, 3, 1, 2)


def fit(maps: torch.Tensor, batches: list, **options) -> CodebookHook:
    hook = CodebookHook(**dict(dict(side=1, steps=9, batch_images=3, lr=0.02), **options))
    hook.begin(Model(), N_IMAGES, (5, ), torch.device('cpu'))
    for positions in batches:
        hook.add(Batch(maps, positions))
    with torch.no_grad():
        hook.finish()
    return hook


def test_it_is_adam_on_the_modularity(maps):
    """Against a plain loop over the same batches; cells of one image each by the keyed draw of every square."""
    hook = fit(maps, [[*range(N_IMAGES)]], side=2)
    expected = keyed_generator(5, 11).uniform(-1, 1, (N_CODES, CHANNELS)) / N_CODES
    codes = torch.tensor(expected, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.Adam([codes], lr=0.02)
    cells = []
    for position, of_image in enumerate(maps):
        drawn = keyed_generator(5, 12, position).integers(4, size=6)  # 2 x 3 squares; a row and a column are left out
        cells.append(
            torch.stack([of_image[:, 2 * (i // 3) + d // 2, 2 * (i % 3) + d % 2] for i, d in enumerate(drawn)]))
    order = [p for epoch in range(4) for p in keyed_generator(5, 13, epoch).permutation(N_IMAGES)]
    for step in range(9):
        loss = modularity_loss(torch.stack([cells[p] for p in order[3 * step:3 * step + 3]]), codes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert float(hook.losses[step]) == pytest.approx(float(loss.detach()), rel=1e-4)
    torch.testing.assert_close(hook.codes, codes, rtol=1e-3, atol=1e-5)
    nearest = {int(i) for of_image in cells for i in (of_image @ F.normalize(hook.codes.detach(), dim=1).T).argmax(1)}
    assert hook.n_used == len(nearest)


def test_modularity_grows(maps):
    hook = fit(maps, [[*range(N_IMAGES)]], steps=60)
    assert hook.losses[-1] < 2 * hook.losses[0] < 0


def test_batches_and_ranks_do_not_matter(maps, monkeypatch):
    expected = fit(maps, [[*range(N_IMAGES)]]).codes
    assert torch.equal(fit(maps, [[0, 1], [2, 3], [], [4, 5, 6]]).codes, expected)
    sums, barrier, lock = [], threading.Barrier(2, timeout=60), threading.Lock()

    def all_reduce(values: torch.Tensor, op: str = 'sum') -> None:
        with lock:
            sums.append(values.clone())
        barrier.wait()
        total = sums[-2] + sums[-1] if op == 'sum' else torch.maximum(sums[-2], sums[-1])
        barrier.wait()
        values.copy_(total)

    monkeypatch.setattr(codebook_hook, 'all_reduce', all_reduce)
    found = {}
    ranks = [threading.Thread(target=lambda rank=rank: found.update({rank: fit(maps, [[*range(rank, N_IMAGES, 2)]])}))
             for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert torch.equal(found[0].codes, expected) and torch.equal(found[1].codes, expected)
    assert found[0].n_used == found[1].n_used


def test_what_cannot_be(maps, tmp_path, image_folder):
    with pytest.raises(ValueError, match='maps of 5 x 7 cells have no square of 8 x 8 cells: set '
                       'default_hooks.codebook'):
        fit(maps, [[0]], side=8)
    with pytest.raises(ValueError, match='steps must be at least 1, but it is 0'):
        CodebookHook(steps=0)
    with pytest.raises(TypeError, match='PiCIE has no codebook: set default_hooks.codebook=None'):
        tiny_runner(image_folder, tmp_path, default_hooks__codebook=dict(type='mmseg_unsup.CodebookHook')).train()


@pytest.mark.filterwarnings('ignore')
def test_a_run_with_the_released_labels_says_so(tmp_path):
    """And goes on from the codebook and the teacher of the run before; without one it is refused."""
    root = write_images(tmp_path / 'images', 8)
    train(resumable_config('cause', root, tmp_path / 'first', train_cfg__max_epochs=1))
    cfg = resumable_config('cause', root, tmp_path / 'second', model__released_leak=True)
    runner = Runner.from_cfg(cfg)
    with pytest.raises(RuntimeError, match='goes on with the teacher of a trained model: set load_from'):
        runner.train()
    log = next((tmp_path / 'second').glob('*/*.log')).read_text()
    assert 'trained on labels: own labels' in log
    assert labels_seen(str(tmp_path / 'second')) == 'none; trained on labels: own labels'
    assert labels_seen(str(tmp_path / 'first')) == 'none'
    with pytest.raises(ValueError, match='released_leak trains on labels, and the images have none'):
        Runner.from_cfg(resumable_config('cause', root, tmp_path / 'third', model__released_leak=True,
                                         load_from=str(tmp_path / 'first' / 'epoch_1.pth'))).train()
