"""Convolutions."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.nn.layers.conv_sizes import (
    ConvPart,
    ConvSizes,
    Kernel,
    Many,
    as_many,
    both_sides,
    conv_cuts,
    half_kernel,
)
from asng.nn.layers.plain import PLANS, Plan, planned
from asng.nn.layers.sizes import Size, check_plain
from asng.nn.layers.twin import Twin

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]


class Conv1d(Twin, nn.Conv1d):
    """torch.nn.Conv1d whose channels and kernel may be variables; see `Conv2d` for arguments and errors.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> conv = Conv1d(8, 16, Integer(1, 9, step=2, label="kernel"), padding="same")
        >>> Supernet(conv)(torch.ones(2, 8, 20), architecture={"kernel": 5}).shape
        torch.Size([2, 16, 20])
    """

    search_sizes: ConvSizes
    search_same: bool

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        kernel_size: Kernel,
        stride: Many = 1,
        padding: str | Many = 0,
        dilation: Many = 1,
        groups: Size = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = ConvSizes.of(in_channels, out_channels, kernel_size, groups, dims=1)
        others = {"bias": bias, "padding_mode": padding_mode, "device": device, "dtype": dtype}
        _begin(self, nn.Conv1d, sizes, stride=stride, padding=padding, dilation=dilation, others=others)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, length), or one without batch."""
        return _plan(self, input)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve as torch's layer of the current sizes."""
        return _convolved(self, nn.Conv1d, functional.conv1d, input)


class Conv2d(Twin, nn.Conv2d):
    """torch.nn.Conv2d whose channels and kernel may be variables.

    Kernels of all sizes share the centre of the largest. If `groups` equals `in_channels`, the convolution
    is depthwise: it has as many groups as the input has channels, and its output follows its input.

    Differs: `padding="same"` may be combined with a stride if the kernel is odd; it then pads half the kernel
    on each side.

    Args:
        in_channels: Largest number of input channels.
        out_channels: Number of output channels, a multiple of `groups`.
        kernel_size: Side of the kernel, or one for each dimension.
        stride: As in torch.
        padding: As in torch. A number stays the same for all kernels; "same" adapts to each.
        dilation: As in torch.
        groups: As in torch, or the variable of `in_channels` for a depthwise convolution.
        bias: As in torch.
        padding_mode: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may take an invalid value, or `groups` does not divide the channels.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical, Integer
        >>> width = Integer(4, 32, label="width")
        >>> expand = Conv2d(3, width, Categorical([1, 3, 5], label="kernel"), padding="same")
        >>> supernet = Supernet(nn.Sequential(expand, Conv2d(width, width, 3, groups=width)))
        >>> a = {"width": 9, "kernel": 3}
        >>> supernet(torch.ones(1, 3, 8, 8), architecture=a).shape
        torch.Size([1, 9, 6, 6])
        >>> supernet.extract(a, example=torch.ones(1, 3, 8, 8))[1]
        Conv2d(9, 9, kernel_size=(3, 3), stride=(1, 1), groups=9)
    """

    search_sizes: ConvSizes
    search_same: bool

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        kernel_size: Kernel,
        stride: Many = 1,
        padding: str | Many = 0,
        dilation: Many = 1,
        groups: Size = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = ConvSizes.of(in_channels, out_channels, kernel_size, groups, dims=2)
        others = {"bias": bias, "padding_mode": padding_mode, "device": device, "dtype": dtype}
        _begin(self, nn.Conv2d, sizes, stride=stride, padding=padding, dilation=dilation, others=others)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, height, width), or one without batch."""
        return _plan(self, input)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve as torch's layer of the current sizes."""
        return _convolved(self, nn.Conv2d, functional.conv2d, input)


class Conv3d(Twin, nn.Conv3d):
    """torch.nn.Conv3d whose channels and kernel may be variables; see `Conv2d` for arguments and errors.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> conv = Conv3d(8, 16, Integer(1, 5, step=2, label="kernel"), padding="same")
        >>> Supernet(conv)(torch.ones(2, 8, 4, 4, 4), architecture={"kernel": 3}).shape
        torch.Size([2, 16, 4, 4, 4])
    """

    search_sizes: ConvSizes
    search_same: bool

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        kernel_size: Kernel,
        stride: Many = 1,
        padding: str | Many = 0,
        dilation: Many = 1,
        groups: Size = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = ConvSizes.of(in_channels, out_channels, kernel_size, groups, dims=3)
        others = {"bias": bias, "padding_mode": padding_mode, "device": device, "dtype": dtype}
        _begin(self, nn.Conv3d, sizes, stride=stride, padding=padding, dilation=dilation, others=others)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, *sides), or one without batch."""
        return _plan(self, input)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve as torch's layer of the current sizes."""
        return _convolved(self, nn.Conv3d, functional.conv3d, input)


def _begin(
    layer: Conv1d | Conv2d | Conv3d,
    torchs: type[nn.Conv1d | nn.Conv2d | nn.Conv3d],
    sizes: ConvSizes,
    *,
    stride: Many,
    padding: str | Many,
    dilation: Many,
    others: dict[str, Any],
) -> None:
    """Initialise torch's layer at the largest sizes, and note what is searched in it."""
    check_plain(stride=stride, padding=padding, dilation=dilation, **others)
    most = sizes.largest
    given: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": most.groups, **others}
    given["padding"] = _largest_padding(padding, stride, most.kernel_size, dilation)
    torchs.__init__(layer, most.in_channels, most.out_channels, most.kernel_size, **given)  # type: ignore[arg-type]
    layer.search_variables = sizes.variables
    layer.search_sizes = sizes
    layer.search_same = padding == "same"


def _largest_padding(
    padding: str | Many, stride: Many, kernel: tuple[int, ...], dilation: Many
) -> str | Many:
    """Return padding that torch accepts; it accepts "same" only with a stride of 1."""
    dims = len(kernel)
    if padding == "same" and any(step != 1 for step in as_many(stride, dims)):
        return half_kernel(kernel, as_many(dilation, dims))
    return padding


def _plan(layer: Conv1d | Conv2d | Conv3d, x: Tensor | None) -> Plan:
    sizes = layer.search_sizes
    fitted = (layer.stride, layer.dilation) if layer.search_same else None
    return _conv_plan(sizes.largest, sizes.part(layer, x), sizes.depthwise, fitted)


@lru_cache(maxsize=PLANS)
def _conv_plan(
    most: ConvPart, part: ConvPart, depthwise: bool, fitted: tuple[tuple[int, ...], tuple[int, ...]] | None
) -> Plan:
    """Return the plan of a convolution; `fitted` is (stride, dilation) if padding adapts to the kernel."""
    whole = part == most
    padding = {} if fitted is None or whole else _fitted_padding(part.kernel_size, *fitted)
    return Plan(part._asdict() | padding, conv_cuts(most, part, depthwise=depthwise), whole)


def _convolved(
    layer: Any, torchs: type[nn.Conv1d | nn.Conv2d | nn.Conv3d], convolve: Callable[..., Tensor], x: Tensor
) -> Tensor:
    plan = layer.plan(x)
    if plan.whole:
        return torchs.forward(layer, x)
    if layer.padding_mode != "zeros":
        return planned(layer, plan).forward(x)  # type: ignore[no-any-return]
    weight, bias = plan.parts(layer.weight, layer.bias)
    padding = plan.sizes.get("padding", layer.padding)
    return convolve(x, weight, bias, layer.stride, padding, layer.dilation, plan.sizes["groups"])


def _fitted_padding(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> dict[str, Any]:
    """Return the attributes with which the plain layer pads for its kernel."""
    if any(step != 1 for step in stride):
        padding = half_kernel(kernel, dilation)
        return {"padding": padding, "_reversed_padding_repeated_twice": both_sides(padding)}
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    sides = [side for t in reversed(total) for side in (t // 2, t - t // 2)]
    return {"_reversed_padding_repeated_twice": sides}
