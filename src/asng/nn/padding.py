"""Padding that fits every size of a kernel."""

from collections.abc import Sequence
from typing import TypeAlias

from asng.errors import InputError

__all__ = ["Many", "as_many", "both_sides", "half_kernel", "transposed_padding"]

Many: TypeAlias = int | Sequence[int]
"""One number, or one for each dimension."""


def as_many(value: Many, dims: int) -> tuple[int, ...]:
    """Return one number for each dimension."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * dims


def both_sides(padding: Sequence[int]) -> list[int]:
    """Return padding as torch.nn.functional.pad takes it: last dimension first, twice each."""
    return [side for side in reversed(padding) for _ in range(2)]


def half_kernel(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Return the padding with which an odd kernel of stride s takes a side n to ceil(n / s).

    Raises:
        InputError: A side of the kernel is even.

    Example:
        >>> half_kernel((3, 5), (1, 2))
        (1, 4)
    """
    for side in kernel:
        if side % 2 == 0:
            raise InputError(
                f"padding: expected odd kernels with 'same' and a stride, got a side of {side}. "
                "Choose odd ones, or give a number."
            )
    return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))


def transposed_padding(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return padding and output padding with which a transposed convolution takes a side n to n * stride.

    Example:
        >>> transposed_padding((3, 4), (2, 2), (1, 1))
        ((1, 1), (1, 0))
    """
    excess = [d * (k - 1) + 1 - s for k, s, d in zip(kernel, stride, dilation, strict=True)]
    padding = tuple(max(0, -(-e // 2)) for e in excess)
    return padding, tuple(2 * p - e for p, e in zip(padding, excess, strict=True))
