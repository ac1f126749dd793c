"""Names of array types, and the two sets of rules that a distribution may follow."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Ints", "Rules", "as_slice", "few_rows"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]

Rules: TypeAlias = Literal["default", "paper"]
"""Whose details to follow: this library's, or those of the paper's authors."""


_CACHED = 2**17
"""How many numbers at a time stay in a processor's cache from one operation to the next."""


def few_rows(n: int, size: int) -> list[slice]:
    """Return slices that cover n rows of so many numbers, each as few as stay in the cache (at least one)."""
    step = max(1, _CACHED // max(size, 1))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def as_slice(index: Ints) -> slice | Ints:
    """Return consecutive indices as a slice, which NumPy copies several times faster."""
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
