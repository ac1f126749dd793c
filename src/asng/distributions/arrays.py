"""Flat arrays with the numbers of all variables: types, a segment per variable, and cache-sized blocks.

With 10^6 variables an update is bound by memory, not arithmetic: without blocks, ask and tell take 1.5 to
2.7 times as long (docs/optimiser/limitations.md). With few variables there is one block.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["AT_ONCE", "Floats", "Ints", "Rules", "Segments", "as_slice", "blocks", "bounded"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]

Rules: TypeAlias = Literal["default", "paper"]
"""Whose details to follow: this library's, or those of the paper's authors."""

AT_ONCE = 16
"""Approximate number of samples read at once: with lambda 8, each is read twice."""

_CACHED = 2**17
"""How many numbers stay in a processor's cache from one operation to the next."""

_FEW_CHOICES, _MANY_VARIABLES = 16, 64
"""Segments of equal length, at most 16 long and at least 64 in number, are summed by column for speed."""


def bounded(x: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """Clip numbers to bounds, as `np.clip` does but four times as fast for a few numbers.

    Example:
        >>> bounded(np.array([-1.0, 0.5, np.nan]), 0.0, np.array([1.0, 0.25, 1.0]))
        array([0.  , 0.25,  nan])
    """
    above: Floats = np.maximum(x, low)
    return np.minimum(above, high, out=above)


@lru_cache(maxsize=256)
def blocks(n: int, size: int) -> tuple[slice, ...]:
    """Return slices that divide `size` variables into cache-sized blocks, with n numbers per variable.

    Example:
        >>> blocks(8, 30)
        (slice(0, 30, None),)
        >>> blocks(8, 30_000)
        (slice(0, 15000, None), slice(15000, 30000, None))
    """
    m = 1 + n * size // _CACHED
    return tuple(slice(size * i // m, size * (i + 1) // m) for i in range(m))


def as_slice(index: Ints) -> slice | Ints:
    """Turn consecutive indices into a slice, which NumPy copies several times faster; else return them."""
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


class Segments:
    """Consecutive segments of a flat vector, one per variable.

    Args:
        counts: K_d, their lengths, each at least 1. Shape (D,).

    Attributes:
        counts: As given.
        starts: Index of the first entry of each segment, shape (D,).
        ends: Index after the last entry of each segment, shape (D,).
        owner: Index of the segment that each entry belongs to, shape (sum K_d,).
        width: K if all lengths are K and summing by column is faster, else 0.
        parts: Cache-sized blocks of segments, each as (slice of segments, slice of entries, its own
            `Segments`). There is a single one if the segments are few.

    Example:
        >>> segments = Segments([2, 3])
        >>> segments.sums(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
        array([ 3., 12.])
        >>> segments.spread(np.array([7.0, 8.0]))
        array([7., 7., 8., 8., 8.])
    """

    def __init__(self, counts: Sequence[int] | Ints) -> None:
        self.counts = np.asarray(counts, dtype=np.intp)
        self.ends = np.cumsum(self.counts)
        self.starts = self.ends - self.counts
        self.owner = np.repeat(np.arange(len(self.counts)), self.counts)
        self.width = 0
        if len(self.counts) >= _MANY_VARIABLES and (self.counts == self.counts[0]).all():
            self.width = int(self.counts[0]) if self.counts[0] <= _FEW_CHOICES else 0
        self.parts = self._parts()

    def sums(self, values: Floats) -> Floats:
        """Return the sum of each segment, added from left to right, shape (D,)."""
        if not self.width:
            total: Floats = np.add.reduceat(values, self.starts)
            return total
        columns = values.reshape(-1, self.width).T
        total = columns[0].copy()
        for column in columns[1:]:
            total += column
        return total

    def spread(self, values: Floats) -> Floats:
        """Repeat the number of each segment for each of its entries, shape (sum K_d,)."""
        return np.repeat(values, self.width) if self.width else values[self.owner]

    def _parts(self) -> list[tuple[slice, slice, "Segments"]]:
        size = len(self.counts)
        if not size:
            return []
        owns = blocks(max(AT_ONCE, math.ceil(len(self.owner) / size)), size)
        if len(owns) == 1:
            return [(slice(0, size), slice(0, len(self.owner)), self)]
        parts = []
        for own in owns:
            if own.start < own.stop:
                part = Segments(self.counts[own])
                part.width = self.width  # sum all alike, so that sums are equal to the last bit
                entries = slice(int(self.starts[own.start]), int(self.ends[own.stop - 1]))
                parts.append((own, entries, part))
        return parts
