"""The operations of ENAS cells, in plain torch.

With stride 2, each of them maps an image of side n to one of side ceil(n / 2), odd n included.
"""

from itertools import pairwise

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from asng.supernets.enas.wiring import OPERATIONS

__all__ = ["FactorizedReduce", "batch_norm", "edge_operations", "relu_conv_bn", "RecomputedSequential"]


def batch_norm(channels: int, *, retraining: bool, affine: bool | None = None) -> nn.BatchNorm2d:
    """Make a batch normalisation for the search or for retraining.

    In the search it has no running statistics: they would mix the statistics of all candidates, and each
    would be scored by those of the others. It has no scale and shift either, as in the paper.

    Args:
        channels: Channels of its input.
        retraining: Whether to keep running statistics.
        affine: Whether to scale and shift. Default: only if `retraining`.
    """
    scaled = retraining if affine is None else affine
    return nn.BatchNorm2d(channels, affine=scaled, track_running_stats=retraining)


def sequence(*layers: nn.Module, recompute: bool) -> nn.Sequential:
    """Return layers in sequence, which store less for the gradient if `recompute` is true."""
    return RecomputedSequential(*layers) if recompute else nn.Sequential(*layers)


def relu_conv_bn(
    in_channels: int, out_channels: int, *, retraining: bool, recompute: bool = False
) -> nn.Sequential:
    """Return ReLU, 1 x 1 convolution and batch normalisation."""
    return sequence(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        batch_norm(out_channels, retraining=retraining),
        recompute=recompute,
    )


class FactorizedReduce(nn.Module):
    """Halve the sides of an image while reading even and odd pixels alike.

    Two 1 x 1 convolutions give half of the channels each, one on the even pixels, one on the odd pixels. An
    odd side is padded by one row of zeros. The pixels are picked before the convolutions, which then have
    stride 1: with stride 2 they crash in torch 2.13 on one thread, channels last, with up to 4 channels.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        retraining: As in `batch_norm`.

    Example:
        >>> FactorizedReduce(3, 8, retraining=False)(torch.zeros(2, 3, 7, 7)).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, *, retraining: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(in_channels, out_channels - half, kernel_size=1, bias=False)
        self.odd = nn.Conv2d(in_channels, half, kernel_size=1, bias=False)
        self.norm = batch_norm(out_channels, retraining=retraining)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, n, m) to (batch, out_channels, ceil(n / 2), ceil(m / 2))."""
        x = functional.pad(self.relu(x), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        halves = torch.cat([self.even(x[:, :, ::2, ::2]), self.odd(x[:, :, 1::2, 1::2])], dim=1)
        return self.norm(halves)  # type: ignore[no-any-return]


def edge_operations(
    channels: int, *, stride: int, retraining: bool, recompute: bool = False
) -> nn.ModuleDict:
    """Make the modules that an edge chooses from, one for each of `OPERATIONS`.

    Args:
        channels: Channels of input and output.
        stride: 1, or 2 on the edges from the inputs of a reduction cell.
        retraining: As in `batch_norm`.
        recompute: As in `EnasCellNetwork`.
    """
    modules = (
        nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, retraining=retraining),
        nn.AvgPool2d(3, stride=stride, padding=1),
        nn.MaxPool2d(3, stride=stride, padding=1),
        _separable_conv(channels, 3, stride=stride, retraining=retraining, recompute=recompute),
        _separable_conv(channels, 5, stride=stride, retraining=retraining, recompute=recompute),
    )
    return nn.ModuleDict(dict(zip(OPERATIONS, modules, strict=True)))


def _separable_conv(
    channels: int, kernel_size: int, *, stride: int, retraining: bool, recompute: bool
) -> nn.Sequential:
    """Return twice the sequence of ReLU, depthwise and pointwise convolution, and batch normalisation."""
    layers: list[nn.Module] = []
    for step in (stride, 1):
        layers += [
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel_size,
                stride=step,
                padding=kernel_size // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, kernel_size=1, bias=False),
            batch_norm(channels, retraining=retraining),
        ]
    return sequence(*layers, recompute=recompute)


class RecomputedSequential(nn.Sequential):
    """A `torch.nn.Sequential` that stores only its input and the outputs of convolutions for the gradient.

    torch stores the input or output of each layer for the gradient. The outputs of normalisation and ReLU
    before a convolution are cheap to recompute in the backward pass, to the same bits, and need not be
    stored. Several sequences on the same input then store it once, instead of a rectified copy each.

    It must not contain layers whose forward pass has side effects or draws random numbers. Normalisation with
    running statistics would count each batch twice, and dropout would draw another mask.

    Args:
        *layers: The layers. Those before a convolution, back to the previous convolution, are recomputed.

    Example:
        >>> layers = RecomputedSequential(nn.ReLU(), nn.Conv2d(3, 8, kernel_size=1), nn.Conv2d(8, 8, 3))
        >>> [len(part) for part in layers.parts()]
        [2, 1]
        >>> layers(torch.zeros(2, 3, 5, 5)).shape
        torch.Size([2, 8, 3, 3])

    References:
        Chen, Xu, Zhang, Guestrin (2016). Training deep nets with sublinear memory cost.
    """

    def parts(self) -> list[nn.Sequential]:
        """Split the layers into parts that end with a convolution; the last part may not."""
        ends = [i for i, layer in enumerate(self, start=1) if isinstance(layer, nn.Conv2d)]
        return [nn.Sequential(*list(self)[i:j]) for i, j in pairwise(sorted({0, *ends, len(self)}))]

    def forward(self, input: Tensor) -> Tensor:
        """Return what `torch.nn.Sequential` returns."""
        # A trace by torch.fx sees the plain layers: a child need not save memory.
        if isinstance(input, fx.Proxy) or not torch.is_grad_enabled():
            return super().forward(input)  # type: ignore[no-any-return, no-untyped-call]
        x = input
        for part in self.parts():
            if len(part) > 1 and isinstance(part[-1], nn.Conv2d):
                # Recomputation stops at the input of the convolution, which is not run twice.
                x = checkpoint(part, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = part(x)
        return x
