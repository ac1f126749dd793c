"""Parts of the kernels of convolutions."""

from torch import Tensor

from asng.nn.plain import window

__all__ = ["kernel_part"]


def kernel_part(weight: Tensor, kernel: tuple[int, ...], groups: int, first: int, second: int) -> Tensor:
    """Return the part of a convolution's weight that a smaller convolution uses.

    It has the middle of the kernel, so that kernels of all sizes share one; where two sizes differ by an odd
    number there is no exact middle, and the part lies half a pixel towards the start. Of the channels it has
    the first ones, along the first dimension those of each group.

    Args:
        weight: Shape (groups * a, b, *largest kernel).
        kernel: Sides of the kernel wanted.
        groups: How many groups of channels the first dimension has.
        first: How many channels are wanted of the first dimension, a multiple of `groups`.
        second: How many are wanted of the second.

    Returns:
        Shape (first, second, *kernel), without gaps in memory; `weight` itself where all of it is wanted.

    Example:
        >>> import torch
        >>> weight = torch.arange(20).reshape(4, 1, 5)
        >>> kernel_part(weight, (3,), groups=2, first=2, second=1)
        tensor([[[ 1,  2,  3]],
        <BLANKLINE>
                [[11, 12, 13]]])
    """
    middle = ((most - side) // 2 for most, side in zip(weight.shape[2:], kernel, strict=True))
    return window(weight, (first, second, *kernel), (0, 0, *middle), groups)
