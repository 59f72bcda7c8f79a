import torch
from torch import nn

from mmseg_unsup.models.utils import Labeller


def parts(seed):
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    backbone(torch.randn(2, 3, 8, 8))  # running statistics of its own
    return backbone, nn.Conv2d(4, 2, 1)


def test_copy_is_apart_from_the_source():
    backbone, neck = parts(0)
    labeller = Labeller(backbone, neck)
    images = torch.randn(1, 3, 8, 8)
    before = labeller(images)
    assert torch.equal(before, neck(backbone.eval()(images)))
    with torch.no_grad():
        neck.weight.add_(1)
    assert torch.equal(labeller(images), before)
    labeller.update(backbone, neck)
    assert torch.equal(labeller(images), neck(backbone(images)))


def test_average_by_hand():
    labeller, source = Labeller(*parts(0)), parts(1)
    before = {key: value.clone() for key, value in labeller.state_dict().items()}
    for _ in range(3):
        labeller.average(*source, momentum=0.25)
    after = labeller.state_dict()
    for prefix, module in (('backbone.', source[0]), ('neck.', source[1])):
        for name, value in module.state_dict().items():
            old, new = before[prefix + name], after[prefix + name]
            if value.is_floating_point():
                torch.testing.assert_close(new, 0.75**3 * old + (1 - 0.75**3) * value)
            else:
                assert torch.equal(new, value)
