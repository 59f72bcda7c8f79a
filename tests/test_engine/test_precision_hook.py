"""Which passes run in bfloat16, and how near their labels are to those of float32."""
import pytest
import torch

from mmseg_unsup.engine.hooks import precision_hook
from .tiny import tiny_runner


def precisions(runner, monkeypatch) -> set:
    """(with gradient, dtype of the products) of all passes of a network in a run."""
    seen = set()

    def note(*_):
        dtype = torch.get_autocast_dtype('cpu') if torch.is_autocast_enabled('cpu') else torch.float32
        seen.add((torch.is_grad_enabled(), dtype))

    for name in ('backbone', 'target_generator.backbone'):
        runner.model.get_submodule(name).register_forward_pre_hook(note)
    runner.train()
    return seen


@pytest.mark.parametrize('without_gradient, native, amp, expected', [
    ('auto', True, False, {(True, torch.float32), (False, torch.bfloat16)}),
    ('auto', False, False, {(True, torch.float32), (False, torch.float32)}),
    ('auto', False, True, {(True, torch.bfloat16), (False, torch.bfloat16)}),
    ('bfloat16', False, False, {(True, torch.float32), (False, torch.bfloat16)}),
    ('float32', True, True, {(True, torch.bfloat16), (False, torch.float32)}),
])
def test_passes_without_gradient_have_a_precision_of_their_own(image_folder, tmp_path, monkeypatch, without_gradient,
                                                               native, amp, expected):
    """Clustering, labels, fresh k-means and evaluation on the one side, the step of the optimiser on the other."""
    monkeypatch.setattr(precision_hook, 'computes_in_bfloat16', lambda device_type: native)
    options = dict(optim_wrapper__type='mmseg_unsup.BFloat16OptimWrapper') if amp else {}
    runner = tiny_runner(image_folder, tmp_path, default_hooks__precision__without_gradient=without_gradient, **options)
    assert precisions(runner, monkeypatch) == expected


def test_labels_in_bfloat16_are_nearly_those_of_float32(image_folder, tmp_path):
    runner = tiny_runner(image_folder, tmp_path, default_hooks__precision__without_gradient='bfloat16')
    runner.train()
    model, batch = runner.model, next(iter(runner.train_dataloader))
    batch = model.data_preprocessor(batch, True)

    def labels():
        return torch.stack(model.target_generator(batch['inputs'], batch['data_samples'])[0])

    in_bfloat16 = labels()
    del model.target_generator.no_grad_context  # that of the class: as outside a runner
    assert 0.98 < (labels() == in_bfloat16).double().mean() <= 1


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="without_gradient='half' is not one of"):
        precision_hook.PrecisionHook('half')
