"""Sums over the choices of each variable, of numbers that lie end to end in one flat vector."""

import math
from collections.abc import Sequence

import numpy as np

from asng.distributions.arrays import Floats, Ints, blocks

__all__ = ["Segments"]

_FEW_CHOICES, _MANY_VARIABLES = 16, 64
"""Equal segments so short and so many are summed column by column, several times faster than one by one."""


_AT_ONCE = 16
"""About as many samples are read at once as by lambda 8, where each is read twice."""


class Segments:
    """Consecutive segments of a flat vector, one a variable.

    Args:
        counts: K_d, their lengths, each at least 1. Shape (D,).

    Attributes:
        counts: As given.
        starts: Index of the first entry of each, shape (D,).
        ends: Index after the last entry of each, shape (D,).
        owner: Number of the segment that each entry belongs to, shape (sum K_d,).
        width: K where all lengths are K and columns are the faster way, else 0.
        parts: Blocks of segments whose entries stay in a cache: which segments, which entries, and the block
            by itself. A single one where they are few.

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

    def entries(self, own: slice) -> slice:
        """Return which entries a slice of segments has, at least one segment from start to stop."""
        return slice(int(self.starts[own.start]), int(self.ends[own.stop - 1]))

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

    def _parts(self) -> list[tuple[slice, slice, "Segments"]]:
        size = len(self.counts)
        owns = [own for (own,) in blocks(max(_AT_ONCE, math.ceil(len(self.owner) / max(size, 1))), size)]
        if not size:
            return []
        if len(owns) == 1:
            return [(slice(0, size), slice(0, len(self.owner)), self)]
        parts = [(own, self.entries(own), Segments(self.counts[own])) for own in owns if own.start < own.stop]
        for _, _, part in parts:
            part.width = self.width  # one way for all, that the sums are the same to the last bit
        return parts

    def spread(self, values: Floats) -> Floats:
        """Return one number a segment as one for each of its entries, shape (sum K_d,)."""
        return np.repeat(values, self.width) if self.width else values[self.owner]
