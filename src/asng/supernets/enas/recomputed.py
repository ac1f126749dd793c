"""Sequences of layers that keep less for the gradient."""

from itertools import pairwise

import torch
from torch import Tensor, fx, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["RecomputedSequential"]


class RecomputedSequential(nn.Sequential):
    """A `torch.nn.Sequential` that keeps its input and what convolutions return, and no more.

    For the gradient torch keeps what each layer was given or has returned. What normalisation and ReLU return
    before a convolution is cheap to compute again when the gradient comes by, to the same bits, and need
    not be kept. Several sequences on the same input then keep it once, not a rectified copy each.

    Not for layers whose forward pass leaves a trace or draws: normalisation with running statistics would
    count each batch twice, dropout would drop others.

    Args:
        *layers: The layers. Each run of layers up to a convolution that is not the first is computed again.

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
        """Return the layers in runs that end with a convolution, but for the last."""
        ends = [i for i, layer in enumerate(self, start=1) if isinstance(layer, nn.Conv2d)]
        return [nn.Sequential(*list(self)[i:j]) for i, j in pairwise(sorted({0, *ends, len(self)}))]

    def forward(self, input: Tensor) -> Tensor:
        """Return what `torch.nn.Sequential` returns."""
        # A trace by torch.fx sees the plain layers: a child needs no memory spared.
        if isinstance(input, fx.Proxy) or not torch.is_grad_enabled():
            return super().forward(input)  # type: ignore[no-any-return, no-untyped-call]
        x = input
        for part in self.parts():
            if len(part) > 1 and isinstance(part[-1], nn.Conv2d):
                # It stops where the convolution has its input again, which is not run twice.
                x = checkpoint(part, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = part(x)
        return x
