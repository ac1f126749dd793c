"""Transposed convolution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asng.nn.layers.conv_sizes import ConvSizes, Kernel, Many, as_many, transposed_padding
from asng.nn.layers.plain import shell
from asng.nn.layers.sizes import Size
from asng.nn.layers.twin import Twin

__all__ = ["ConvTranspose2d"]


class ConvTranspose2d(Twin, nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d whose channels and kernel may be variables.

    Kernels of all sizes share one, centred. Where `groups` equals `in_channels` it is depthwise, as `Conv2d`.

    Differs: `padding="same"` makes a side of n one of n * stride, whatever the kernel.

    Args:
        in_channels: The most channels that an input may have.
        out_channels: Channels of the output; a multiple of `groups`.
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
        InputError: A size is no integer >= 1.
        SpaceError: A variable stands for something else, or for widths that `groups` does not divide.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Categorical
        >>> up = ConvTranspose2d(8, 4, Categorical([1, 3, 5], label="kernel"), stride=2, padding="same")
        >>> Supernet(up)(torch.ones(1, 8, 7, 7), architecture={"kernel": 5}).shape
        torch.Size([1, 4, 14, 14])
    """

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
        most, same = sizes.largest, padding == "same"
        if same:
            steps, spread = as_many(stride, 2), as_many(dilation, 2)
            padding, output_padding = transposed_padding(most.kernel_size, steps, spread)
        nn.ConvTranspose2d.__init__(
            self,
            most.in_channels,
            most.out_channels,
            most.kernel_size,  # type: ignore[arg-type]
            stride=stride,  # type: ignore[arg-type]
            padding=padding,  # type: ignore[arg-type]
            output_padding=output_padding,  # type: ignore[arg-type]
            groups=most.groups,
            bias=bias,
            dilation=dilation,  # type: ignore[arg-type]
            padding_mode=padding_mode,  # type: ignore[arg-type]
            device=device,
            dtype=dtype,
        )
        self.search_variables = sizes.variables
        self.search_sizes = sizes
        self.search_same = same

    def plain(self, input: Tensor | None = None, output_size: Sequence[int] | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, channels, height, width), or one without batch."""
        sizes = self.search_sizes
        part = sizes.part(self, input)
        if part == sizes.largest:
            return self
        attributes = part._asdict()
        if self.search_same:
            paddings = transposed_padding(part.kernel_size, self.stride, self.dilation)
            attributes.update(zip(("padding", "output_padding"), paddings, strict=True))
        return shell(self, sizes.weights(self, part, transposed=True), attributes)
