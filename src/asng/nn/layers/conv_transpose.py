"""Transposed convolutions."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from asng.nn.layers.conv_sizes import (
    ConvPart,
    ConvSizes,
    Kernel,
    Many,
    as_many,
    conv_cuts,
    transposed_padding,
)
from asng.nn.layers.plain import PLANS, Plan
from asng.nn.layers.sizes import Size, check_plain
from asng.nn.layers.twin import Twin

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class ConvTranspose2d(Twin, nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d whose channels and kernel may be variables.

    Kernels of all sizes share the centre of the largest. If `groups` equals `in_channels`, the convolution
    is depthwise, as in `Conv2d`.

    Differs: `padding="same"` maps a side n to n * stride, whatever the kernel.

    Args:
        in_channels: Largest number of input channels.
        out_channels: Number of output channels, a multiple of `groups`.
        kernel_size: Side of the kernel, or one for each dimension.
        stride: As in torch.
        padding: As in torch, or "same". A number stays the same for all kernels.
        output_padding: As in torch; not used with "same".
        groups: As in torch, or the variable of `in_channels` for a depthwise convolution.
        bias: As in torch.
        dilation: As in torch.
        padding_mode: As in torch: "zeros" only.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may take an invalid value, or `groups` does not divide the channels.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical
        >>> up = ConvTranspose2d(8, 4, Categorical([1, 3, 5], label="kernel"), stride=2, padding="same")
        >>> Supernet(up)(torch.ones(1, 8, 7, 7), architecture={"kernel": 5}).shape
        torch.Size([1, 4, 14, 14])
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
        output_padding: Many = 0,
        groups: Size = 1,
        bias: bool = True,
        dilation: Many = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = ConvSizes.of(in_channels, out_channels, kernel_size, groups, dims=2)
        others = {"bias": bias, "padding_mode": padding_mode, "device": device, "dtype": dtype}
        given = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        _begin(self, nn.ConvTranspose2d, sizes, given, others)

    def plan(self, input: Tensor | None = None, output_size: Sequence[int] | None = None) -> Plan:
        """Return the plan for an input (batch, channels, height, width), or one without batch."""
        return _plan(self, input)


class ConvTranspose1d(Twin, nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d whose channels and kernel may be variables; see `ConvTranspose2d`.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical
        >>> up = ConvTranspose1d(8, 4, Categorical([1, 3], label="kernel"), stride=2, padding="same")
        >>> Supernet(up)(torch.ones(1, 8, 7), architecture={"kernel": 3}).shape
        torch.Size([1, 4, 14])
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
        output_padding: Many = 0,
        groups: Size = 1,
        bias: bool = True,
        dilation: Many = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = ConvSizes.of(in_channels, out_channels, kernel_size, groups, dims=1)
        others = {"bias": bias, "padding_mode": padding_mode, "device": device, "dtype": dtype}
        given = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        _begin(self, nn.ConvTranspose1d, sizes, given, others)

    def plan(self, input: Tensor | None = None, output_size: Sequence[int] | None = None) -> Plan:
        """Return the plan for an input (batch, channels, length), or one without batch."""
        return _plan(self, input)


class ConvTranspose3d(Twin, nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d whose channels and kernel may be variables; see `ConvTranspose2d`.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical
        >>> up = ConvTranspose3d(8, 4, Categorical([1, 3], label="kernel"), stride=2, padding="same")
        >>> Supernet(up)(torch.ones(1, 8, 3, 3, 3), architecture={"kernel": 3}).shape
        torch.Size([1, 4, 6, 6, 6])
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
        output_padding: Many = 0,
        groups: Size = 1,
        bias: bool = True,
        dilation: Many = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = ConvSizes.of(in_channels, out_channels, kernel_size, groups, dims=3)
        others = {"bias": bias, "padding_mode": padding_mode, "device": device, "dtype": dtype}
        given = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        _begin(self, nn.ConvTranspose3d, sizes, given, others)

    def plan(self, input: Tensor | None = None, output_size: Sequence[int] | None = None) -> Plan:
        """Return the plan for an input (batch, channels, *sides), or one without batch."""
        return _plan(self, input)


_Layer: TypeAlias = ConvTranspose1d | ConvTranspose2d | ConvTranspose3d


def _begin(
    layer: _Layer,
    torchs: Any,
    sizes: ConvSizes,
    given: dict[str, Any],
    others: dict[str, Any],
) -> None:
    """Initialise torch's layer at the largest sizes, and note what is searched in it."""
    check_plain(**given, **others)
    most, same = sizes.largest, given["padding"] == "same"
    if same:
        dims = len(most.kernel_size)
        steps, spread = as_many(given["stride"], dims), as_many(given["dilation"], dims)
        paddings = transposed_padding(most.kernel_size, steps, spread)
        given = given | dict(zip(("padding", "output_padding"), paddings, strict=True))
    channels = most.in_channels, most.out_channels
    torchs.__init__(layer, *channels, most.kernel_size, groups=most.groups, **given, **others)
    layer.search_variables = sizes.variables
    layer.search_sizes = sizes
    layer.search_same = same


def _plan(layer: _Layer, x: Tensor | None) -> Plan:
    sizes = layer.search_sizes
    fitted = (layer.stride, layer.dilation) if layer.search_same else None
    return _conv_plan(sizes.largest, sizes.part(layer, x), sizes.depthwise, fitted)


@lru_cache(maxsize=PLANS)
def _conv_plan(
    most: ConvPart, part: ConvPart, depthwise: bool, fitted: tuple[tuple[int, ...], tuple[int, ...]] | None
) -> Plan:
    """Return the plan of a convolution; `fitted` is (stride, dilation) if padding adapts to the kernel."""
    sizes: dict[str, object] = part._asdict()
    if fitted is not None:
        paddings = transposed_padding(part.kernel_size, *fitted)
        sizes.update(zip(("padding", "output_padding"), paddings, strict=True))
    return Plan(sizes, conv_cuts(most, part, depthwise=depthwise, transposed=True), part == most)
