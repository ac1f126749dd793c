"""A node of a convolutional autoencoder: its convolutions, and their mirror images in the decoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.nn import Conv2d, ConvTranspose2d, Searchable
from asng.nn.layers.sizes import Size
from asng.space import Variable
from asng.supernets.autoencoder.wiring import Layer, channels_variable, node_variables, operation_name

__all__ = ["AmongZeros", "EveryOther", "AutoencoderNode"]


class EveryOther(nn.Module):
    """Keep the even rows and columns of pixels, counted from 0.

    Followed by a 1 x 1 convolution, it acts as one of stride 2. The one of torch 2.13 crashes on one thread,
    in channels-last format, with few channels.

    Example:
        >>> EveryOther()(torch.arange(9.0).reshape(1, 1, 3, 3))
        tensor([[[[0., 2.],
                  [6., 8.]]]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, n, m) to (batch, channels, ceil(n / 2), ceil(m / 2))."""
        return x[:, :, ::2, ::2]


class AmongZeros(nn.Module):
    """Insert a row and a column of zeros after each row and column of an image.

    After a 1 x 1 convolution, it acts as a transposed one of stride 2; `EveryOther` gives the reason.

    Example:
        >>> AmongZeros()(torch.ones(1, 1, 1, 2))
        tensor([[[[1., 0., 1., 0.],
                  [0., 0., 0., 0.]]]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, n, m) to (batch, channels, 2 n, 2 m)."""
        wide = torch.stack([x, torch.zeros_like(x)], dim=4).flatten(3)
        return torch.stack([wide, torch.zeros_like(wide)], dim=3).flatten(2, 3)


class AutoencoderNode(Searchable):
    """All convolutions that a node can choose, each with weights of its own, and their mirror images.

    Args:
        number: Number of the node, from 1.
        level_back: How many entries back the node may read.
        in_channels: Largest number of input channels of the convolutions and of their mirror images.
        channels: Channels to choose from, rising; if `mixed`, only the first and the last count, as bounds.
        kernels: Sides of kernels, rising, odd.
        mixed: Whether channels and kernel are integers.
    """

    def __init__(
        self,
        number: int,
        *,
        level_back: int,
        in_channels: int,
        channels: Sequence[int],
        kernels: Sequence[int],
        mixed: bool,
    ) -> None:
        super().__init__()
        self.number = number
        self.level_back = level_back
        self.kernels = tuple(kernels)
        self.mixed = mixed
        width = channels_variable(number, channels, mixed=mixed)
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        for skip in (True, False):
            for kernel in kernels:
                name = operation_name(kernel, skip=skip)
                self.encoders[name] = _convolution(in_channels, width, kernel, skip=skip)
                self.decoders[name] = _mirror_image(in_channels, width, kernel, skip=skip)

    def variables(self) -> dict[str, Variable]:
        """Return the variables of the node except its channels, which belong to its convolutions."""
        return node_variables(self.number, self.level_back, self.kernels, mixed=self.mixed)

    def encode(self, layer: Layer, x: Tensor) -> Tensor:
        """Return the output of the convolution that a layer names, (batch, channels, n, m)."""
        return functional.relu(self.encoders[layer.operation](x))

    def decode(self, layer: Layer, x: Tensor, encoded: Tensor | None) -> Tensor:
        """Return the output of the mirror image; its height and width are those of the convolution's input.

        Args:
            layer: The layer.
            x: Output of the previous layer in the decoder.
            encoded: Output of the convolution, to be added, if the layer has a skip connection; else None.
        """
        y = self.decoders[layer.operation](x)
        height, width = layer.side
        if encoded is not None:
            y = y + encoded
        elif height % 2 or width % 2:
            y = y[:, :, :height, :width]
        return functional.relu(y)


def _convolution(in_channels: int, channels: Size, kernel: int, *, skip: bool) -> nn.Module:
    if kernel == 1 and not skip:
        return nn.Sequential(EveryOther(), Conv2d(in_channels, channels, 1, bias=False))
    return Conv2d(in_channels, channels, kernel, stride=1 if skip else 2, padding=kernel // 2, bias=False)


def _mirror_image(in_channels: int, channels: Size, kernel: int, *, skip: bool) -> nn.Module:
    if kernel == 1 and not skip:
        return nn.Sequential(ConvTranspose2d(in_channels, channels, 1, bias=False), AmongZeros())
    return ConvTranspose2d(in_channels, channels, kernel, stride=1 if skip else 2, padding="same", bias=False)
