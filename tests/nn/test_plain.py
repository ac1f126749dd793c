"""Parts of weights."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from asng.nn.layers.conv_sizes import ConvPart, conv_cuts
from asng.nn.layers.plain import leading, window


@st.composite
def blocks(draw):
    """A weight, the shape of a block of it, where that begins, and groups along the first dimension."""
    groups = draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    before = [0, *(draw(st.integers(0, 2)) for _ in sizes[1:])]
    after = [draw(st.integers(0, 2)) for _ in sizes]
    shape = [b + size + a for b, size, a in zip(before, sizes, after, strict=True)]
    weight = torch.randn(groups * shape[0], *shape[1:])
    if weight.ndim == 4 and draw(st.booleans()):
        weight = weight.to(memory_format=torch.channels_last)
    return weight.requires_grad_(), (groups * sizes[0], *sizes[1:]), tuple(before), groups


def by_slices(weight, sizes, starts, groups):
    index = tuple(slice(start, start + size) for start, size in zip(starts[1:], sizes[1:], strict=True))
    rows = weight.unflatten(0, (groups, -1))[:, : sizes[0] // groups].flatten(0, 1)
    return rows[(slice(None), *index)]


@given(block=blocks())
def test_window_is_the_block_without_gaps_and_so_is_its_gradient(block):
    weight, sizes, starts, groups = block
    part, expected = window(weight, sizes, starts, groups), by_slices(*block)
    assert torch.equal(part, expected)
    last = weight.ndim == 4 and not weight.is_contiguous()
    assert part.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    upstream = torch.randn(sizes)
    (ours,), (theirs,) = (torch.autograd.grad(y, weight, upstream) for y in (part, expected))
    assert torch.equal(ours, theirs)


@given(block=blocks())
def test_leading_is_a_window_at_the_start(block):
    weight, sizes, _, groups = block
    expected = by_slices(weight, sizes, [0] * len(sizes), groups)
    assert torch.equal(leading(weight, *sizes, groups=groups), expected)
    assert leading(weight, weight.shape[0]) is weight


def test_kernel_is_cut_from_the_middle():
    weight = torch.arange(50).reshape(2, 1, 5, 5)
    most = ConvPart(1, 2, (5, 5), 1)
    for kernel, part in (((3, 1), weight[:, :, 1:4, 2:3]), ((4, 5), weight[:, :, :4])):
        cut = conv_cuts(most, most._replace(kernel_size=kernel), depthwise=False)["weight"]
        assert torch.equal(cut(weight), part)
