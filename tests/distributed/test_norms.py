"""Batch norm over parts of a batch in several processes beside the same over the whole batch in one."""

import pytest
import torch
from processes import values
from torch import nn

from asng.distributed import joined

SHAPES = {"images": (7, 3, 4, 5), "series": (6, 3, 5), "vectors": (5, 3), "volumes": (3, 3, 2, 3, 2)}


def passed(shape, dtype, affine, averages, channels_last=False, offset=0.0):
    """Return what a batch norm gives for this process's part, its gradients, and its averages."""
    torch.manual_seed(0)
    norm = nn.modules.batchnorm._BatchNorm(
        3, affine=affine, track_running_stats=averages, dtype=torch.float64
    )
    norm._check_input_dim = lambda x: None
    if affine:
        nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias)
    whole = torch.randn(shape, dtype=torch.float64) + offset
    target = torch.randn(shape, dtype=torch.float64)
    norm, dtype = (
        norm.to(getattr(torch, dtype)) if dtype != "bfloat16" else norm.float(),
        getattr(torch, dtype),
    )
    with joined() as comm:
        part = comm.part(shape[0])
        x = whole[part.start : part.stop].to(dtype)
        if channels_last:
            x = x.to(memory_format=torch.channels_last)
        x.requires_grad_()
        with comm.passes():
            y = norm(x)
            ((y - target[part.start : part.stop].to(dtype)) ** 2).sum().backward()
        comm.reduce(0.0, list(norm.parameters()))
    found = [tensor.double().tolist() for tensor in (y, x.grad)]
    return found, [t.double().tolist() for t in (*(p.grad for p in norm.parameters()), *norm.buffers())]


def compared(shape, *settings, size=2, **tolerances):
    whole = values(passed, shape, *settings, size=1)[0]
    parts = values(passed, shape, *settings, size=size)
    for k in (0, 1):  # outputs and gradients, in the order of the items
        together = torch.tensor([row for part in parts for row in part[0][k]], dtype=torch.float64)
        torch.testing.assert_close(together, torch.tensor(whole[0][k], dtype=torch.float64), **tolerances)
    for part in parts:
        for mine, theirs in zip(part[1], whole[1], strict=True):
            mine, theirs = (torch.tensor(t, dtype=torch.float64) for t in (mine, theirs))
            torch.testing.assert_close(mine, theirs, **tolerances)


@pytest.mark.parametrize("kind", SHAPES)
def test_parts_are_normalised_as_the_whole(kind):
    compared(SHAPES[kind], "float64", True, True, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("affine", "averages"), [(False, False), (True, False), (False, True)])
def test_with_and_without_weights_and_averages(affine, averages):
    compared((7, 3, 4, 5), "float64", affine, averages, rtol=1e-11, atol=1e-11)


def test_three_unequal_parts_channels_last_in_single_precision():
    compared((8, 3, 4, 5), "float32", True, True, True, size=3, rtol=1e-5, atol=1e-5)


def test_a_mean_far_from_zero_loses_no_more_digits_than_in_one_process():
    # A spread of 1 about 1,000: float32 itself has 7 digits, 4 of which are left.
    compared((8, 3, 4, 5), "float32", False, False, False, 1000.0, rtol=2e-3, atol=2e-3)


def test_inputs_of_bfloat16_beside_weights_of_float32():
    compared((8, 3, 4, 5), "bfloat16", True, True, rtol=3e-2, atol=3e-2)
