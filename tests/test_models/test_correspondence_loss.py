"""STEGO's losses and head: the arrays of the released code."""
import pytest
import torch

from mmseg_unsup.models.losses.correspondence_loss import (centred, correlations, correspondence_loss, other_images,
                                                           sample_points, without_self)
from mmseg_unsup.models.necks import ResidualProjection
from ..facts import facts

VARIANTS = dict(
    default={}, not_pointwise=dict(centre=False), no_zero_clamp=dict(floor=None), stabalize=dict(ceiling=0.8),
    cocostuff_vits=dict(shifts=(0.08, 0.02, 0.66)), no_clamp_not_pointwise=dict(centre=False, floor=None))


def tensors(name: str) -> dict:
    return {key: torch.from_numpy(value) for key, value in facts(name).items()}


def terms(found: dict, code, code_pos, shifts=(0.18, 0.12, 0.46), centre=True, **clamp):
    """Losses of an image with itself, with its neighbour, and of each draw of other images."""
    def term(f, g, c, d, shift):
        of_features = correlations(f, g)
        return correspondence_loss(centred(of_features) if centre else of_features, correlations(c, d), shift, **clamp)

    first, second = (2 * found[f'rand{i}'] - 1 for i in (1, 2))
    feats, feats_pos = found['orig_feats'], found['orig_feats_pos']
    f, c = sample_points(feats, first), sample_points(code, first)
    return (term(f, f, c, c, shifts[0]),
            term(f, sample_points(feats_pos, second), c, sample_points(code_pos, second), shifts[1]),
            [term(f, sample_points(feats[others], second), c, sample_points(code[others], second), shifts[2])
             for others in found['perms']])


@pytest.mark.parametrize('variant', VARIANTS)
def test_arrays_of_the_released_code(variant):
    found = tensors('stego_correspondence')
    code, code_pos = (found[name].requires_grad_() for name in ('orig_code', 'orig_code_pos'))
    intra, inter, negatives = terms(found, code, code_pos, **VARIANTS[variant])
    negative = sum(negatives) / len(negatives)
    total = 0.67 * intra + 0.25 * inter + 0.63 * negative
    total.backward()
    for value, name in ((intra, 'pos_intra_loss'), (inter, 'pos_inter_loss'), (negative, 'neg_inter_loss'),
                        (total, 'total')):
        assert float(value) == pytest.approx(float(found[f'{variant}/{name}']), rel=1e-5, abs=1e-7), name
    torch.testing.assert_close(code.grad, found[f'{variant}/grad_code'], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(code_pos.grad, found[f'{variant}/grad_code_pos'], rtol=1e-4, atol=1e-7)


def test_points_of_the_released_code():
    found = tensors('stego_correspondence')
    sampled = sample_points(found['orig_feats'], 2 * found['rand1'] - 1)
    torch.testing.assert_close(sampled, found['sampled_feats'], rtol=1e-5, atol=1e-6)


def test_other_images_of_the_released_code():
    found = tensors('stego_super_perm')
    for drawn, expected in zip(found['randperm'], found['super_perm']):
        assert without_self(drawn).tolist() == expected.tolist()
    others = torch.stack([other_images(5) for _ in range(50)])
    assert not (others == torch.arange(5)).any() and others.min() == 0 and others.max() == 4


def test_the_head_of_the_released_code():
    found = tensors('stego_head')
    neck = ResidualProjection(16, 6).eval()
    neck.load_state_dict({key: value for key, value in found.items() if key.startswith('cluster')})
    feats = found['tokens'][:, 1:].transpose(1, 2).unflatten(2, (5, 5))
    torch.testing.assert_close(feats, found['feat'], rtol=0, atol=0)
    torch.testing.assert_close(neck((feats, ))[0], found['code'], rtol=1e-5, atol=1e-6)


def test_dropout_draws_for_each_branch():
    neck = ResidualProjection(64, 3, dropout=0.5)
    seen = []
    for branch in (neck.cluster1, neck.cluster2):
        branch.register_forward_pre_hook(lambda module, args: seen.append(args[0][0, :, 0, 0] == 0))
    neck((torch.ones(1, 64, 2, 2), ))
    assert 10 < seen[0].sum() < 54 and not torch.equal(*seen)
    with pytest.raises(ValueError, match="tanh.*relu"):
        ResidualProjection(4, 2, activation='tanh')
