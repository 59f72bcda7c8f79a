import pytest
import torch

from mmseg_unsup.utils.devices import Readback, check_device, full_float32, to_device


@pytest.mark.parametrize('name', ['gpu', 'cuda:99', 'CPU', ''])
def test_devices_that_are_not_there(name):
    known = ', '.join(['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))])
    with pytest.raises(ValueError) as error:
        check_device(name)
    assert str(error.value) == f'the device {name!r} cannot be used: torch {torch.__version__} has {known} here'


def test_devices_that_are_there():
    check_device('cpu')
    check_device(torch.device('cpu'))


def test_products_are_full_inside_the_block():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision('medium')
        with pytest.raises(KeyError), full_float32():
            assert torch.get_float32_matmul_precision() == 'highest'
            raise KeyError
        assert torch.get_float32_matmul_precision() == 'medium'
    finally:
        torch.set_float32_matmul_precision(before)


def test_values_of_the_host_are_there_at_once():
    values = torch.rand(3, requires_grad=True)
    read = Readback(values).wait()
    assert torch.equal(read, values) and not read.requires_grad
    assert to_device(values, values.device) is values
