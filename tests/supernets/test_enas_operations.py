import pytest
import torch
from torch import nn

from asng.supernets.enas.operations import FactorizedReduce, batch_norm, edge_operations, relu_conv_bn
from asng.supernets.enas.wiring import OPERATIONS


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("side", [2, 3, 7, 14, 28, 32])
def test_stride_2_halves_any_side_and_rounds_up(operation, side):
    op = edge_operations(4, stride=2, retraining=False)[operation]
    assert op(torch.ones(2, 4, side, side + 1)).shape == (2, 4, -(-side // 2), -(-(side + 1) // 2))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("side", [1, 4, 7])
def test_stride_1_keeps_any_side(operation, side):
    op = edge_operations(4, stride=1, retraining=False)[operation]
    assert op(torch.ones(2, 4, side, side)).shape == (2, 4, side, side)


def test_factorized_reduce_sees_even_and_odd_pixels():
    op = FactorizedReduce(1, 2, retraining=False)
    op.norm = nn.Identity()
    with torch.no_grad():
        op.even.weight.fill_(1.0)
        op.odd.weight.fill_(1.0)
    x = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    y = op(x)
    assert torch.equal(y[:, 0], x[:, 0, ::2, ::2])
    assert torch.equal(y[:, 1], x[:, 0, 1::2, 1::2])


def test_factorized_reduce_pads_an_odd_side_by_zeros():
    op = FactorizedReduce(1, 2, retraining=False)
    op.norm = nn.Identity()
    with torch.no_grad():
        op.odd.weight.fill_(1.0)
    assert torch.equal(op(torch.ones(1, 1, 3, 3))[0, 1], torch.tensor([[1.0, 0.0], [0.0, 0.0]]))


def test_separable_convolution_is_the_layers_of_the_paper_twice():
    layers = edge_operations(4, stride=2, retraining=False)["sep_conv_5x5"]
    once = [nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]
    assert [type(layer) for layer in layers] == once * 2
    shapes = [(c.kernel_size, c.stride, c.groups) for c in layers if isinstance(c, nn.Conv2d)]
    assert shapes == [((5, 5), (2, 2), 4), ((1, 1), (1, 1), 1), ((5, 5), (1, 1), 4), ((1, 1), (1, 1), 1)]


def test_search_normalises_by_the_batch_and_retraining_keeps_statistics():
    search, retraining = batch_norm(3, retraining=False), batch_norm(3, retraining=True)
    assert (search.affine, search.track_running_stats) == (False, False)
    assert (retraining.affine, retraining.track_running_stats) == (True, True)
    assert batch_norm(3, retraining=False, affine=True).affine


def test_relu_conv_bn_changes_the_channels_only():
    assert relu_conv_bn(3, 8, retraining=False)(torch.ones(2, 3, 5, 7)).shape == (2, 8, 5, 7)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_channels_last_stays_channels_last(operation, stride):
    op = edge_operations(4, stride=stride, retraining=False)[operation].to(memory_format=torch.channels_last)
    y = op(torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)


TRAINED_ON_ONE_THREAD = """
import torch
from asng.supernets.enas.operations import FactorizedReduce
torch.set_num_threads(1)
op = FactorizedReduce(4, 4, retraining=False).to(memory_format=torch.channels_last)
x = torch.randn(64, 4, 14, 14).to(memory_format=torch.channels_last).requires_grad_()
for _ in range(400):
    op(x).square().sum().backward()
"""


def test_factorized_reduce_survives_few_channels_on_one_thread(run_script, tmp_path):
    # With convolutions of stride 2, torch 2.13 corrupts its memory here: the process is killed.
    run_script(TRAINED_ON_ONE_THREAD, tmp_path)
