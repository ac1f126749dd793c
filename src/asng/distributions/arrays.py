"""Names of array types, and the two sets of rules that a distribution may follow."""

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Ints", "Rules", "as_slice", "blocks"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]

Rules: TypeAlias = Literal["default", "paper"]
"""Whose details to follow: this library's, or those of the paper's authors."""


_CACHED = 2**17
"""So many numbers at a time stay in a processor's cache from one operation to the next."""


@lru_cache(maxsize=256)
def blocks(n: int, *sizes: int) -> tuple[tuple[slice, ...], ...]:
    """Return slices that divide variables of several kinds into blocks, n numbers a variable, for the cache.

    Example:
        >>> blocks(8, 30, 2)
        ((slice(0, 30, None), slice(0, 2, None)),)
        >>> blocks(8, 30_000)
        ((slice(0, 15000, None),), (slice(15000, 30000, None),))
    """
    m = 1 + n * sum(sizes) // _CACHED
    return tuple(tuple(slice(size * i // m, size * (i + 1) // m) for size in sizes) for i in range(m))


def as_slice(index: Ints) -> slice | Ints:
    """Return consecutive indices as a slice, which NumPy copies several times faster."""
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
