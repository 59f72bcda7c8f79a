"""Methods that learn codes train on two processes as on one: losses, gradients, and what follows the weights."""
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel

from mmseg_unsup.engine.feature_pass import unwrap
from mmseg_unsup.models.necks import BatchDropout
from mmseg_unsup.utils.distributed import open_process_group
from . import test_cause, test_primaps, test_smooseg, test_stego
from ..conftest import write_images
from ..forks import spawn
from ..test_engine.resuming import CODES, resumable_config
from ..test_engine.tiny import FLOAT32

N_RANKS, N_IMAGES, N_STEPS, SIDE = 2, 4, 2, 4


def smooseg(**options):
    model = test_smooseg.model(n_negatives=2, **options)
    model.start(is_new=True)
    return model


def primaps(is_starting: bool):
    model = test_primaps.model()
    model.is_starting = is_starting
    model.masks = torch.randint(4, (N_IMAGES, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).byte()
    return model


def cause(head: str = 'mlp', **options):
    model = test_cause.model(head, bank_length=3, positive=0.2, negative=0., **options)
    model.codebook.fit(torch.randn(7, 12, generator=torch.Generator().manual_seed(2)))
    model.start(is_new=True)
    return model


def cause_transformer():
    """Without dropout, which each process draws for itself."""
    model = cause('tr')
    model.neck.dropout.p = model.neck.self_attn.dropout = model.neck.multihead_attn.dropout = 0.
    return model


CASES = dict(
    stego=test_stego.model,
    smooseg=smooseg,
    smooseg_quantiles=lambda: smooseg(intra_shift=dict(quantile=0.25), negative_shift=dict(quantile=0.9)),
    primaps_start=lambda: primaps(True),
    primaps=lambda: primaps(False),
    cause=cause,
    cause_transformer=cause_transformer,
    cause_leak=lambda: cause(released_leak=True))


def samples() -> list:
    """With where they are, and labels, of which images have unequally many."""
    places = test_primaps.samples(N_IMAGES)
    labels = torch.randint(5, (N_IMAGES, SIDE, SIDE), generator=torch.Generator().manual_seed(3))
    labels[1, 1:] = labels[3] = 255
    for place, sample in zip(places, test_cause.labelled(labels)):
        place.gt_sem_seg = sample.gt_sem_seg
    return places


def trained(case: str, rank: int = 0, world_size: int = 1) -> dict:
    """Losses, gradients and the state of the model of some steps on the images of one process."""
    torch.manual_seed(4)
    model = CASES[case]()
    for module in model.modules():
        if isinstance(module, BatchDropout):
            module.p = 0.3
    torch.manual_seed(5 + rank)
    for parameter in model.parameters():
        parameter.data += rank
    model.train()
    wrapped = DistributedDataParallel(model) if world_size > 1 else model
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    images = torch.randn(N_STEPS, 2, N_IMAGES, 12 if 'cause' in case else 16, SIDE, SIDE,
                         generator=torch.Generator().manual_seed(6))
    found = dict(losses=[], gradients=[])
    for step in images[:, :, rank::world_size]:
        losses = wrapped([*step[:1 if 'cause' in case else 2]], samples()[rank::world_size], mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        found['losses'].append({name: loss.detach() for name, loss in losses.items()})
        found['gradients'].append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        optimizer.step()
        model.follow(1.)
    return dict(found, state=model.state_dict())


def train_all(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=N_RANKS)
    torch.save({case: trained(case, rank, N_RANKS) for case in CASES}, f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def of_ranks(tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp('ranks')
    spawn(train_all, (str(folder), ), nprocs=N_RANKS)
    return [torch.load(folder / f'{rank}.pt') for rank in range(N_RANKS)]


@pytest.mark.parametrize('case', CASES)
def test_two_processes_train_as_one(case, of_ranks):
    """Though their generators and first weights differ."""
    expected, found = trained(case), [of_rank[case] for of_rank in of_ranks]
    for step, losses in enumerate(expected['losses']):
        means = {name: sum(of_rank['losses'][step][name] for of_rank in found) / N_RANKS for name in losses}
        torch.testing.assert_close(means, losses, rtol=1e-5, atol=1e-6)
    assert all(gradient.any() for of_step in expected['gradients'] for name, gradient in of_step.items()
               if case != 'primaps_start' or 'length' not in name)
    assert case != 'cause' or len(expected['state']['bank.codes']) > 7
    for of_rank in found:
        for part in ('gradients', 'state'):
            torch.testing.assert_close(of_rank[part], expected[part], rtol=1e-5, atol=1e-6)


def run(method: str, folder: Path, world_size: int = 1) -> dict:
    """The last state of a whole run: two steps on 8 images.

    Adam divides by the size of gradients; with its own ``eps`` one that is nothing but rounding would move a weight.
    """
    cfg = resumable_config(method, str(folder / 'images'), folder / f'{method}{world_size}', **FLOAT32,
                           train_dataloader__batch_size=N_IMAGES // world_size, train_cfg__max_epochs=1,
                           optim_wrapper__optimizer__eps=1e-3)
    if method == 'primaps':
        cfg.default_hooks.prototypes.epochs = 0
    if world_size > 1:
        cfg.launcher = 'pytorch'
        open_process_group(cfg)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return unwrap(runner.model).state_dict()


def run_all(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(N_RANKS))
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=N_RANKS)
    torch.save({method: run(method, Path(folder), N_RANKS) for method in CODES}, f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def runs_of_ranks(tmp_path_factory) -> tuple:
    folder = tmp_path_factory.mktemp('runs')
    write_images(folder / 'images', 2 * N_IMAGES)
    spawn(run_all, (str(folder), ), nprocs=N_RANKS)
    return folder, [torch.load(folder / f'{rank}.pt') for rank in range(N_RANKS)]


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the launch without a GPU')
@pytest.mark.parametrize('method', CODES)
def test_two_processes_run_as_one(method, runs_of_ranks):
    """With all that is found before the first step, such as neighbours, constants of the loss, masks and codebook."""
    folder, found = runs_of_ranks
    expected = run(method, folder)
    for of_rank in found:
        torch.testing.assert_close(of_rank[method], expected, rtol=1e-4, atol=2e-5)
    assert expected['decode_head.clusters.fresh.weight'].any()
    if method == 'stego':
        assert (expected['terms'] > 0).all()
