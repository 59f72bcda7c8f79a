"""CAUSE: the arrays of the released code, what its labels reach, and what ranks and steps share."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_unsup.engine.hooks.codebook_hook import cells_of_squares
from mmseg_unsup.models.clusters import CosineClusterSet, ModularitySet
from mmseg_unsup.models.codebook import CodeBank, Codebook
from mmseg_unsup.models.losses.concept_contrast import code_relations, concept_contrast
from mmseg_unsup.models.losses.modularity_loss import communities, modularity_loss, modularity_matrix
from mmseg_unsup.models.segmentors import CAUSE
from mmseg_unsup.models.teachers import AverageTeacher
from mmseg_unsup.registry import MODELS
from ..facts import facts

# names of the released heads -> ours
MLP_NAMES = dict(f1='cluster1.0', **{'f2.0': 'cluster2.0', 'f2.2': 'cluster2.2'})


def tensors(name: str) -> dict:
    return {key: torch.from_numpy(value) for key, value in facts(name).items() if value.dtype.kind != 'U'}


@MODELS.register_module()
class GivenMap(BaseModule):
    """A frozen network whose map is what it is given."""
    is_frozen = True

    def forward(self, images):
        return (images, )


def maps(rows: torch.Tensor) -> torch.Tensor:
    """(N, 16, C) cells of 4 x 4 -> (N, C, 4, 4)."""
    return rows.transpose(1, 2).unflatten(2, (4, 4))


def rows(of_maps: torch.Tensor) -> torch.Tensor:
    return of_maps.flatten(2).transpose(1, 2)


def released(head: str, prefix: str) -> dict:
    """Weights of a released head by our names."""
    found = {}
    for key, value in tensors('cause_heads').items():
        if key.startswith(f'{head}.{prefix}.'):
            name, _, kind = key[len(f'{head}.{prefix}.'):].removeprefix('tr.').rpartition('.')
            below = 'projection.' if head == 'tr' else ''
            ours = f'{below}{MLP_NAMES[name]}.{kind}' if name in MLP_NAMES else f'{name}.{kind}'.lstrip('.')
            found[ours] = value
    return found


def neck_config(head: str) -> dict:
    if head == 'mlp':
        return dict(type='mmseg_unsup.ResidualProjection', in_channels=12, out_channels=6, elementwise=True)
    return dict(type='mmseg_unsup.ConceptDecoder', in_channels=12, out_channels=6, n_cells=16)


def model(head: str = 'mlp', **options) -> CAUSE:
    return CAUSE(
        backbone=dict(type='mmseg_unsup.GivenMap'),
        neck=neck_config(head),
        decode_head=dict(type='mmseg_unsup.ClusterHead', in_channels=6, n_clusters=5,
                         clusters=dict(cluster=dict(type='mmseg_unsup.ModularitySet'))),
        **{**dict(n_codes=7, projection_channels=10), **options})


def released_model(head: str, **options) -> CAUSE:
    """With the released weights as student and teacher."""
    cause, found = model(head, **options), tensors('cause_heads')
    cause.neck.load_state_dict(released(head, 'head'))
    cause.projection.load_state_dict({f'{name}': found[f'{head}.projection_head.f.{name}']
                                      for name in ('weight', 'bias')})
    cause.codebook.fit(found['codebook'])
    AverageTeacher.copy(cause.target_generator, cause)
    cause._is_started = True
    return cause.eval()


# the codebook


def test_modularity_of_the_released_code():
    found = tensors('cause_modularity')
    units, codes = F.normalize(found['x'], dim=2), F.normalize(found['c'], dim=1)
    alike = (units @ codes.T).clamp(min=0)
    torch.testing.assert_close(modularity_matrix(units) * found['e'], found['W'], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(alike, found['C'], rtol=1e-5, atol=1e-6)
    for name, temperature in (('temp0.1', 0.1), ('temp1', 1.)):
        codes = found['c'].clone().requires_grad_()
        loss = modularity_loss(found['x'], codes, temperature)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(float(found[f'{name}/loss']), rel=1e-5)
        torch.testing.assert_close(codes.grad, found[f'{name}/grad_c'], rtol=1e-4, atol=1e-8)


def test_five_steps_and_sampling_of_the_released_code():
    found = tensors('cause_modularity')
    codes = found['c'].clone().requires_grad_()
    optimizer = torch.optim.Adam([codes], lr=1e-3)
    for expected in found['five_steps/losses']:
        loss = modularity_loss(found['x'], codes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-4)
    torch.testing.assert_close(codes.detach(), found['five_steps/c'], rtol=1e-4, atol=1e-7)
    sampled = [cells_of_squares(of_image.T.unflatten(1, (8, 8)), 4, drawn)
               for of_image, drawn in zip(found['x_grid'], found['order_grid'].view(2, 4))]
    assert torch.equal(torch.stack(sampled), found['x_grid_sampled'])
    codes = found['c'].clone().requires_grad_()
    loss = modularity_loss(torch.stack(sampled), codes)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(found['grid/loss']), rel=1e-5)
    torch.testing.assert_close(codes.grad, found['grid/grad_c'], rtol=1e-4, atol=1e-8)


def test_products_of_many_codes_are_taken_in_parts(monkeypatch):
    alike = torch.rand(2, 9, 5, generator=torch.Generator().manual_seed(0))
    whole = communities(alike, 0.1)
    slow = torch.stack([torch.tanh(torch.einsum('ik,jk->ijk', of_image, of_image) / 0.1).amax(2) for of_image in alike])
    torch.testing.assert_close(whole, slow)
    monkeypatch.setattr('mmseg_unsup.models.losses.modularity_loss._MAX_NUMBERS', 100)
    assert torch.equal(communities(alike, 0.1), whole)
    assert float(modularity_loss(torch.eye(3)[None], torch.rand(2, 3))) == 0  # no two cells are alike


def test_the_cluster_probe_of_the_released_code():
    """``forward_centroid`` has the loss of STEGO's probe; the set of the configs has the modularity."""
    found = tensors('cause_cluster_probe')
    probe, ours = CosineClusterSet(6, 5), ModularitySet(6, 5)
    probe.weight.data = found['cluster_probe'].clone()
    ours.weight.data = found['cluster_probe'].clone()
    loss = probe.loss(maps(found['x']))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(found['loss']), rel=1e-5)
    torch.testing.assert_close(probe.weight.grad, found['grad'], rtol=1e-4, atol=1e-7)
    for clusters in (probe, ours):
        scores = clusters(maps(found['x']))
        assert torch.equal(scores.argmax(1), found['pred']) and torch.equal(scores.argmax(1), found['inference'])
        torch.testing.assert_close((3 * scores).log_softmax(1), found['crf_log_probs'], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.loss(maps(found['x'])), modularity_loss(found['x'], found['cluster_probe']))
    with pytest.raises(ValueError, match='temperature must be a positive number, but it is 0'):
        ModularitySet(6, 5, temperature=0)


# the contrast


def test_contrast_of_the_released_code():
    found = tensors('cause_contrast')
    cause = model()
    cause.codebook.fit(found['codebook'])
    concepts = cause.codebook.nearest(maps(found['feat'])).flatten(1)
    for name in ('empty_bank', 'full_bank'):
        if name == 'full_bank':
            fill(cause.bank, found, 'bank', found['bank/index'].flatten(), found['bank/proj'].flatten(0, 1))
            torch.testing.assert_close(cause.bank.vectors, found['bank/content'], rtol=0, atol=0)
        projected = found['proj'].clone().requires_grad_()
        loss = cause.contrast(projected, found['proj_ema'], concepts)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(float(found[f'{name}/loss']), rel=1e-5)
        torch.testing.assert_close(projected.grad, found[f'{name}/grad_proj'], rtol=1e-4, atol=1e-7)
        cause.bank = CodeBank(100, 10)


def fill(bank: CodeBank, found: dict, name: str, codes: torch.Tensor, vectors: torch.Tensor) -> None:
    """Add vectors with the permutations that the released code drew for every code."""
    drawn = found[f'{name}/perms'].split(found[f'{name}/perm_lengths'].tolist())
    order = torch.cat([torch.nonzero(codes == k)[:, 0][permutation] for k, permutation in enumerate(drawn)])
    bank.add(vectors, codes, order)


def test_the_bank_of_the_released_code():
    found, bank = tensors('cause_contrast'), CodeBank(4, 10)
    fill(bank, found, 'bank', found['bank/index'].flatten(), found['bank/proj'].flatten(0, 1))
    assert torch.bincount(bank.codes, minlength=7).tolist() == found['bank/sizes'].tolist()
    codebook = Codebook(7, 12)
    codebook.fit(found['codebook'])
    units = F.normalize(codebook.weight, dim=1)
    torch.testing.assert_close(units[bank.codes], found['bank/norm_vq'], rtol=1e-6, atol=1e-7)
    fill(bank, found, 'overflow', codebook.nearest(maps(found['feat'])).flatten(), found['proj_ema'].flatten(0, 1))
    assert torch.bincount(bank.codes, minlength=7).tolist() == found['overflow/sizes'].tolist()
    assert torch.equal(bank.vectors, found['overflow/content'])
    copied = CodeBank(4, 10)
    copied.load_state_dict(bank.state_dict())
    assert torch.equal(copied.vectors, bank.vectors) and torch.equal(copied.codes, bank.codes)
    none = CodeBank(0, 10)
    none.add(bank.vectors, bank.codes)
    assert not len(none)


def test_images_without_a_pair_add_nothing():
    codes = torch.tensor([[1., 0.], [0., 1.], [-1., 0.]])
    relations = code_relations(codes, 0.3, 0.1)
    anchors = torch.randn(2, 2, 4, requires_grad=True)
    targets, target_codes = anchors.detach().flatten(0, 1), torch.tensor([0, 1, 2, 2])
    # image 0: codes 0 and 1, each alone; image 1: code 2 twice
    loss = concept_contrast(anchors, target_codes.view(2, 2), targets, target_codes, relations,
                            own=torch.tensor([0, 2]))
    loss.backward()
    units = F.normalize(targets, dim=1)
    logits = units[2:] @ units.T / 0.07
    expected = (logits[0, [0, 1, 3]].logsumexp(0) - logits[0, 3] + logits[1, [0, 1, 2]].logsumexp(0) - logits[1, 2]) / 2
    assert float(loss.detach()) == pytest.approx(float(expected) / 2, rel=1e-5)
    assert not anchors.grad[0].any() and anchors.grad[1].any() and not anchors.grad.isnan().any()


# the heads


@pytest.mark.parametrize('head', ['mlp', 'tr'])
def test_heads_of_the_released_code(head):
    found, cause = tensors('cause_heads'), released_model(head)
    images = maps(found['feat'])
    assert torch.equal(cause.codebook.nearest(images).flatten(1), found['vq_index'])
    torch.testing.assert_close(rows(cause.codebook((images, ))[-1]), found['vq'], rtol=0, atol=0)
    codes, = cause.extract_feat(images)
    torch.testing.assert_close(rows(codes), found[f'{head}_head'], rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(rows(cause.projection(codes)), found[f'{head}_projection'], rtol=1e-5, atol=1e-5)
    predicting, = cause.predicting_feat(images)
    torch.testing.assert_close(predicting, codes, rtol=1e-4, atol=2e-6)  # of the teacher, with the same weights


def test_the_transformer_head_is_of_one_size_and_needs_its_codebook():
    cause = released_model('tr')
    with pytest.raises(ValueError, match='learned positions of 16 cells, but the image has 20: give images of the '
                       'size'):
        cause.extract_feat(torch.randn(1, 12, 4, 5))
    assert cause.cluster_tensors()
    with pytest.raises(RuntimeError, match='no codebook .codebook.weight.*load a checkpoint of a whole run'):
        model('tr').cluster_tensors()
    assert 'codebook.weight' in {key for key in cause.state_dict() if key.startswith(cause.feature_parts)}
    with pytest.raises(RuntimeError, match='there is no codebook: add codebook='):
        unfitted = model()
        unfitted._is_started = True
        unfitted.check_ready()


# the teacher and the labels


def test_the_teacher_follows_and_is_no_alias():
    """As released it is the student itself until its first update."""
    found = tensors('cause_ema')
    assert bool(found['aliased'])
    cause = model(momentum=0.01)
    student, teacher = cause.projection.weight, cause.target_generator.projection.weight
    student.data.flatten()[:9] = found['student0'].flatten()
    cause.start(is_new=True)
    student.data += 1
    torch.testing.assert_close(teacher.flatten()[:9], found['student0'].flatten())
    teacher.data.copy_(student)  # where the released one is by now
    student.data += 1
    cause.follow(1.)
    torch.testing.assert_close(teacher.flatten()[:9], found['teacher_after_update2'].flatten(), rtol=1e-6, atol=1e-7)


def labelled(labels: torch.Tensor) -> list:
    samples = [SegDataSample() for _ in labels]
    for sample, of_image in zip(samples, labels):
        sample.gt_sem_seg = PixelData(data=of_image[None])
    return samples


@pytest.mark.parametrize('head', ['mlp', 'tr'])
def test_labels_reach_the_codes_in_the_released_step_only(head):
    found = tensors('cause_label_leak')
    assert float(found[f'{head}/grad_norm_of_labels_on_head_ema']) > 2
    samples = labelled(found['label'])
    leaking, ours = released_model(head, released_leak=True), released_model(head)
    losses = leaking.loss([maps(found['feat'])], samples)
    logits = F.interpolate(leaking.linear(leaking.predicting_feat(maps(found['feat']))[0]), size=(8, 8),
                           mode='bilinear')
    expected = F.cross_entropy(logits, found['label'].long(), ignore_index=-1)
    torch.testing.assert_close(losses['loss_linear'], expected)
    losses['loss_linear'].backward()
    norm = sum(float(p.grad.square().sum()) for p in leaking.target_generator.neck.parameters() if p.grad is not None)
    assert norm > 1e-4 and leaking.uses_labels and not ours.uses_labels
    assert all(p.grad is None for p in leaking.neck.parameters())
    first, second = (ours.loss([maps(found['feat'])], given) for given in (samples, labelled(found['label'] * 0)))
    assert first.keys() == {'loss_contrast', 'loss_cluster'}
    assert torch.equal(first['loss_cluster'], second['loss_cluster'])
    first['loss_cluster'].backward()
    trained = {name for name, p in ours.named_parameters() if p.grad is not None}
    assert trained == {'decode_head.clusters.cluster.weight'}


def test_the_released_step_goes_on_from_a_model():
    cause = model(released_leak=True)
    before = cause.target_generator.neck.cluster1[0].weight.clone()
    cause.start(is_new=True)
    cause.follow(1.)
    assert torch.equal(cause.target_generator.neck.cluster1[0].weight, before)  # no copy of the student
    with pytest.raises(RuntimeError, match='goes on with the teacher of a trained model: set load_from'):
        cause.check_ready()
    cause.codebook.fit(torch.randn(7, 12))
    with pytest.raises(ValueError, match='trains on labels, and the images have none: .*with_labels=True'):
        cause.loss([torch.randn(1, 12, 4, 4)], [SegDataSample()])


@pytest.mark.parametrize('options, message', [
    (dict(positive=0.1, negative=0.3), 'alike above positive=0.1 and differ below negative=0.3'),
    (dict(bank_length=-1), 'bank_length must be at least 0, but it is -1'),
    (dict(momentum=2), r'momentum must lie in \[0, 1\], but it is 2'),
    (dict(n_codes=1), 'n_codes must be at least 2, but it is 1'),
    (dict(temperature=0), 'temperature must be a positive number, but it is 0'),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        model(**options)
