from collections import deque

import pytest
import torch
import torch.distributed as dist

from mmseg_unsup.models.prototype_queue import PrototypeQueue
from mmseg_unsup.utils.whole_batch import gather_rows
from ..forks import spawn


def rows(start, count):
    return torch.arange(start, start + count).float()[:, None].expand(-1, 3).clone()


@pytest.mark.parametrize('sizes', [[4, 4, 4], [3, 5, 1, 0, 6], [7], [8, 20], [1] * 17])
@pytest.mark.parametrize('length', [1, 7, 8])
def test_holds_the_last_rows(length, sizes):
    queue, expected, start = PrototypeQueue(length, 3), deque(maxlen=length), 0
    noise = queue.prototypes.clone()
    for size in sizes:
        queue.enqueue(rows(start, size))
        expected.extend(range(start, start + size))
        start += size
    held = [int(row[0]) for row in queue.prototypes if not (row == noise).all(1).any()]
    assert sorted(held) == list(expected)
    assert int(queue.pointer) == start % length
    assert len(queue.prototypes) == length


def test_the_oldest_row_goes_first():
    queue = PrototypeQueue(5, 3)
    for start in (0, 3, 6):
        queue.enqueue(rows(start, 3))
    assert queue.prototypes[:, 0].tolist() == [5, 6, 7, 8, 4] and int(queue.pointer) == 4


def test_starts_as_noise_of_unit_length():
    queue = PrototypeQueue(500, 32)
    torch.testing.assert_close(queue.prototypes.norm(dim=1), torch.ones(500))
    assert (queue.prototypes @ queue.prototypes.t()).fill_diagonal_(0).abs().max() < 0.9
    assert queue.prototypes.mean().abs() < 0.01


def test_state_and_lengths():
    queue, other = PrototypeQueue(5, 3), PrototypeQueue(5, 3)
    queue.enqueue(rows(0, 3))
    assert set(queue.state_dict()) == {'prototypes', 'pointer'}
    other.load_state_dict(queue.state_dict())
    queue.enqueue(rows(3, 4)), other.enqueue(rows(3, 4))
    assert torch.equal(queue.prototypes, other.prototypes)
    none = PrototypeQueue(0, 3)
    none.enqueue(rows(0, 2))
    assert none.prototypes.shape == (0, 3)
    with pytest.raises(ValueError, match='queue_length must be at least 0, but it is -1'):
        PrototypeQueue(-1, 3)


def test_one_process_gathers_its_own():
    mine, own = gather_rows(rows(0, 4), torch.arange(4))
    assert torch.equal(mine, rows(0, 4)) and own.all()


# objects of the images of a global batch of 9; images 2, 5 and 6 have none
N_OBJECTS = [1, 2, 0, 1, 3, 0, 0, 1, 1]


def global_rows():
    images = torch.repeat_interleave(torch.arange(9), torch.tensor(N_OBJECTS))
    return rows(0, len(images)), images


def worker(rank, world_size, folder):
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size)
    torch.manual_seed(0)
    queue = PrototypeQueue(7, 3)
    all_rows, images = global_rows()
    mine = images % world_size == rank
    for step in range(3):
        gathered, own = gather_rows(all_rows[mine] + 10 * step, images[mine] // world_size)
        assert torch.equal(gathered[own], all_rows[mine] + 10 * step)
        queue.enqueue(gathered)
    nothing, own = gather_rows(all_rows[:0], images[:0])
    assert nothing.shape == (0, 3) and own.shape == (0, )
    torch.save(queue.state_dict(), f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.mark.parametrize('world_size', [2, pytest.param(3, marks=pytest.mark.long)])
def test_any_number_of_processes_fills_the_queue_alike(tmp_path, world_size):
    """With three processes rank 2 has two objects, rank 1 six."""
    torch.manual_seed(0)
    queue = PrototypeQueue(7, 3)
    for step in range(3):
        queue.enqueue(global_rows()[0] + 10 * step)
    spawn(worker, (world_size, str(tmp_path)), nprocs=world_size)
    for rank in range(world_size):
        theirs = torch.load(tmp_path / f'{rank}.pt')
        assert torch.equal(theirs['prototypes'], queue.prototypes) and theirs['pointer'] == queue.pointer
