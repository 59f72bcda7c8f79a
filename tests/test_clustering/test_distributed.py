"""Clustering on several processes equals clustering on one."""
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist

from mmseg_unsup.clustering import MiniBatchKMeans, StreamingKMeans, kmeans
from mmseg_unsup.clustering.pca import StreamingPCA
from ..forks import spawn

N_IMAGES, N_CLUSTERS = 23, 5  # 23 does not divide by 2 or 4: the last round is uneven


def features():
    """Blobs on the unit sphere, 12 cells an image."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(N_CLUSTERS, 8))
    rows = centers[rng.integers(N_CLUSTERS, size=(N_IMAGES, 12))] + 0.3 * rng.normal(size=(N_IMAGES, 12, 8))
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return torch.from_numpy(rows.astype(np.float32)).permute(0, 2, 1).reshape(N_IMAGES, 8, 3, 4)


@mock.patch.object(kmeans, 'MIN_COARSE_ROWS_PER_CLUSTER', 1)  # starts run on part of the rows, though there are few
def fit(rank, world_size, batch_size, init):
    torch.set_num_threads(1)
    feats = features()
    models = [MiniBatchKMeans(k, n_init=2, spherical=True, init=init) for k in (N_CLUSTERS, 2, N_CLUSTERS)]
    stream = StreamingKMeans([models[:2], models[2:]], N_IMAGES, init_images=5, update_images=6,
                             init_pixels=None, seed=(7, 1))
    pca = StreamingPCA(8)
    mine = list(range(rank, N_IMAGES, world_size))
    for start in range(0, len(mine), batch_size):
        positions = mine[start:start + batch_size]
        stream.add(positions, [feats[positions], feats[positions].flip(3) * 1.01])
        pca.add(feats[positions].permute(0, 2, 3, 1).reshape(-1, 8))
    stream.finish()
    weight, bias = pca.projection(3, (8, ), (1., ))
    rows = feats.permute(0, 2, 3, 1).reshape(-1, 8)
    return (torch.cat([model.cluster_centers_ for model in models]), torch.cat([m.counts_ for m in models]), weight,
            torch.cat([model.predict(rows) for model in models[:2]]))


def fit_two(rank, world_size, batch_size):
    """Two streams that take turns, with boundaries that ranks reach in different batches; centres of both."""
    feats, models = features(), [MiniBatchKMeans(N_CLUSTERS), MiniBatchKMeans(2)]
    streams = [StreamingKMeans([[model]], N_IMAGES, init_images, update_images, seed=(7, ))
               for model, init_images, update_images in zip(models, (5, 4), (6, 3))]
    mine = list(range(rank, N_IMAGES, world_size))
    for start in range(0, -(-N_IMAGES // world_size), batch_size):
        positions = mine[start:start + batch_size]
        for stream in streams:
            stream.add(positions, [feats[positions]])
            stream.advance(world_size * (start + batch_size))
    for stream in streams:
        stream.finish()
    return torch.cat([model.cluster_centers_ for model in models])


def worker(rank, world_size, init, folder):
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size)
    torch.save((*fit(rank, world_size, 3 - rank % 2, init), fit_two(rank, world_size, 2)), f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('world_size', [2, pytest.param(4, marks=pytest.mark.long)])
def test_any_number_of_processes(tmp_path, world_size, init):
    """With four processes, two have no image in the initial Lloyd and one is short in the last block."""
    centers, counts, weight, labels = fit(0, 1, 23, init)
    spawn(worker, (world_size, init, str(tmp_path)), nprocs=world_size)
    for rank in range(world_size):
        theirs = torch.load(tmp_path / f'{rank}.pt')
        torch.testing.assert_close(theirs[0], centers, atol=1e-6, rtol=0)
        assert torch.equal(theirs[1], counts)
        assert (theirs[3] == labels).double().mean() >= 0.9999
        torch.testing.assert_close(theirs[2].abs(), weight.abs(), atol=1e-6, rtol=0)
        torch.testing.assert_close(theirs[4], fit_two(0, 1, 23), atol=1e-6, rtol=0)
