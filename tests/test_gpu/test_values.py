"""What a GPU computes, beside slow independent calculations and beside a CPU."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg_unsup.analysis.gpu_checks import CORRECTNESS, clustered_rows
from mmseg_unsup.analysis.gpu_runs import Scale, draw_data
from mmseg_unsup.clustering import MiniBatchKMeans
from mmseg_unsup.functional import warp
from mmseg_unsup.models import ClusterHead
from mmseg_unsup.models.losses import cross_view_loss
from mmseg_unsup.models.teachers import PrototypeTeacher
from ..forks import spawn
from ..test_engine.resuming import METHODS, differences, final, moments, resumable_config, terminate, train
from ..test_models.test_teacher import Student
from ..test_models.test_warp import slow_sample

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings('ignore')]
BOXES = torch.tensor([[0., 0., 1., 1.], [0.1, 0.3, 0.65, 0.85], [0.42, 0.05, 0.95, 0.58]])
FLIPS = torch.tensor([False, True, False])


def slow_lloyd(rows: np.ndarray, means: np.ndarray, n_iter: int):
    """Means and labels, in float64, cluster by cluster."""
    for _ in range(n_iter):
        labels = ((rows[:, None] - means[None])**2).sum(2).argmin(1)
        means = np.stack([rows[labels == k].mean(0) for k in range(len(means))])
    return means, ((rows[:, None] - means[None])**2).sum(2).argmin(1)


def test_kmeans_equals_a_slow_one(device):
    rows = clustered_rows(3000, 'cpu', 16)
    means, labels = slow_lloyd(rows.double().numpy(), rows[:7].double().numpy(), 5)
    model = MiniBatchKMeans(7, n_iter=5, backend='torch')
    model.init(rows.to(device), rows[:7].to(device)[None])
    np.testing.assert_allclose(model.cluster_centers_.cpu(), means, atol=1e-5)
    assert (model.predict(rows.to(device)).cpu().numpy() == labels).mean() > 0.999
    assert model.inertia_ == pytest.approx(((rows.double().numpy() - means[labels])**2).sum(1).mean(), rel=1e-5)


def test_crops_of_maps_and_their_gradient(device):
    feats = torch.randn(3, 4, 10, 10, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(3, 4, 10, 10, generator=torch.Generator().manual_seed(1))
    gradients = []
    for place in (device, device, 'cpu'):
        maps = feats.clone().to(place).requires_grad_()
        out = warp(maps, BOXES.to(place), FLIPS.to(place))
        for n in range(3):
            expected = slow_sample(feats[n].numpy(), BOXES[n].tolist(), bool(FLIPS[n]), 10, 10)
            np.testing.assert_allclose(out[n].detach().cpu(), expected, atol=1e-5)
        (out * weights.to(place)).sum().backward()
        gradients.append(maps.grad.cpu())
    assert torch.equal(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2], atol=1e-5, rtol=0)


def test_labels_of_the_teacher_are_the_nearest_prototypes(device):
    student = Student()
    student.neck, student.decode_head = None, ClusterHead(in_channels=4, n_clusters=3, in_index=0)
    student.backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Unflatten(0, (1, -1)))
    teacher = PrototypeTeacher(student, num_views=1)
    of_view, = teacher.levels[0].sets
    of_view.fit(torch.randn(3, 4), torch.rand(3))
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        feats = F.normalize(student.backbone[0](images).double(), dim=1)
    expected = (feats[:, None] - of_view.weight.double()[None, :, :, None, None]).square().sum(2).argmin(1)
    whole = SimpleNamespace(crop_box=(0., 0., 1., 1.), flip=False)
    (labels, ), = teacher.to(device)([images.to(device)], [whole] * 2)
    assert (labels.cpu() == expected).float().mean() > 0.99 and len(expected.unique()) > 1


def test_the_loss_of_two_views(device):
    """By hand, cell by cell, in float64."""
    generator = torch.Generator().manual_seed(0)
    feats = [F.normalize(torch.randn(2, 8, 5, 5, generator=generator), dim=1) for _ in range(2)]
    labels = [torch.randint(6, (2, 5, 5), generator=generator) for _ in range(2)]
    prototypes, weights = torch.randn(2, 6, 8, generator=generator), torch.rand(2, 6, generator=generator)

    def term(a, b):
        logits = np.einsum('nchw,kc->nhwk', feats[a].double().numpy(), prototypes[b].double().numpy()) / 0.1
        log_shares = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        of_label = np.take_along_axis(log_shares, labels[b].numpy()[..., None], -1)[..., 0]
        of_cell = weights[b].double().numpy()[labels[b].numpy()]
        return -(of_cell * of_label).sum() / of_cell.sum()

    found, = cross_view_loss([feat.to(device) for feat in feats], [[of_view.to(device) for of_view in labels]],
                             [prototypes.to(device)], [weights.to(device)], 0.1)
    assert float(found['loss_within']) == pytest.approx((term(0, 0) + term(1, 1)) / 2, rel=1e-4)
    assert float(found['loss_cross']) == pytest.approx((term(0, 1) + term(1, 0)) / 2, rel=1e-4)


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    return str(tmp_path_factory.mktemp('drawn'))


def _step(rank: int, name: str, scale: Scale) -> None:
    draw_data(scale)  # unless it is there
    CORRECTNESS[name].function(scale, lambda **numbers: None)


@pytest.mark.parametrize('name', [name for name in CORRECTNESS if name.startswith('batch-equality')])
def test_a_step_of_each_method(device, drawn, tmp_path, name):
    """Losses, gradients and labels; in a process of its own, as what goes wrong on a GPU goes on being wrong."""
    spawn(_step, (name, Scale(device, True, drawn, str(tmp_path), 2)))


@pytest.mark.parametrize('method', METHODS)
def test_resumed_equals_uninterrupted(device, image_folder, tmp_path, method):
    def config(name, **options):
        cfg = resumable_config(method, image_folder, tmp_path / name, **options)
        cfg.randomness = dict(seed=3, deterministic=True)
        return cfg

    try:
        phases = train(config('whole'))
        train(config('parts'), moments(phases)['mid_epoch'], terminate)
        train(config('parts', resume=True))
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False
    assert differences(final(tmp_path / 'whole'), final(tmp_path / 'parts')) == []
