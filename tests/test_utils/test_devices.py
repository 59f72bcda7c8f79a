import pytest
import torch

from mmseg_unsup.utils.devices import check_device


@pytest.mark.parametrize('name', ['gpu', 'cuda:99', 'CPU', ''])
def test_devices_that_are_not_there(name):
    known = ', '.join(['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))])
    with pytest.raises(ValueError) as error:
        check_device(name)
    assert str(error.value) == f'the device {name!r} cannot be used: torch {torch.__version__} has {known} here'


def test_devices_that_are_there():
    check_device('cpu')
    check_device(torch.device('cpu'))
