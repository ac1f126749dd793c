"""Uniform numbers from which candidates are drawn, and a set of draw numbers."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from asng.distributions import Floats, blocks

__all__ = ["Numbers", "Sampling", "draw_uniforms"]

_MOST_GAPS = 4096
"""Most separate ranges of told draws; beyond it, draws in the oldest gap count as told."""

Sampling: TypeAlias = Literal["stratified", "independent", "mirrored"]


def draw_uniforms(
    rng: np.random.Generator, n: int, size: int, sampling: Sampling, mirror_from: int
) -> Floats:
    """Return uniform numbers in [0, 1), one row per sample.

    "stratified": each variable's n numbers are ``(v + k/n) mod 1``, with v uniform and k a permutation, both
    drawn anew for each variable. Each number is exactly uniform, so estimates stay unbiased. Together they
    cover the range evenly, so two samples rarely repeat each other.

    "mirrored": independent, but the columns from `mirror_from` on come in pairs u, 1 - u, as the authors
    draw their integers. With two samples, the second moments of a pair carry no information on the spread,
    and each update shrinks the variance. This option only serves to show that.

    Args:
        rng: Source of randomness.
        n: Number of samples, at least 1.
        size: Number of variables.
        sampling: How the samples of one variable relate.
        mirror_from: First mirrored column.

    Returns:
        Shape (n, size).

    Example:
        >>> u = draw_uniforms(np.random.default_rng(0), 4, 1, "stratified", 0)
        >>> sorted((4 * u[:, 0]).astype(int).tolist())
        [0, 1, 2, 3]
    """
    if sampling == "stratified" and n > 1:
        return _stratified(rng, n, size)
    u = rng.random((n, size))
    if sampling == "mirrored":
        half = u[: (n + 1) // 2, mirror_from:].copy()
        u[::2, mirror_from:] = half
        u[1::2, mirror_from:] = 1.0 - half[: n // 2]
    return u


def _stratified(rng: np.random.Generator, n: int, size: int) -> Floats:
    v = rng.random(size)
    if n == 2:
        # v and v + 1/2 mod 1: v is uniform on [0, 1), so the order is already random.
        u = np.empty((2, size))
        u[0], u[1] = v, v + 0.5
        u -= np.floor(u)
        return u
    u = np.empty((n, size))
    for own in blocks(n, size):
        part = u[:, own]
        part[:] = _strata(n)
        rng.permuted(part, axis=0, out=part)
        part += v[own]
        part -= np.floor(part)
    return u


@lru_cache(maxsize=64)
def _strata(n: int) -> Floats:
    """Return k/n for k = 0 .. n-1, shape (n, 1)."""
    strata: Floats = (np.arange(n, dtype=np.float64) / n)[:, None]
    strata.flags.writeable = False
    return strata


class Numbers:
    """A set of integers >= 0 that arrive nearly in order, stored as ranges.

    Args:
        stretches: Pairs of the first number and the one after the last, in increasing order.

    Example:
        >>> numbers = Numbers([(0, 8)])
        >>> numbers.add(9, 12)
        >>> numbers.add(8, 9)
        >>> numbers.stretches, 11 in numbers, 12 in numbers
        ([(0, 12)], True, False)
    """

    def __init__(self, stretches: Iterable[tuple[int, int]] = ()) -> None:
        pairs = list(stretches)
        self._first, self._after = [first for first, _ in pairs], [after for _, after in pairs]

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Pairs of the first number and the one after the last, in increasing order."""
        return list(zip(self._first, self._after, strict=True))

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number) - 1
        return at >= 0 and number < self._after[at]

    def add(self, first: int, after: int) -> None:
        """Add the numbers from `first` to the one before `after`."""
        if self._after and self._after[-1] == first:  # the usual case
            self._after[-1] = after
            return
        low, high = bisect_left(self._after, first), bisect_right(self._first, after)
        if low < high:
            first, after = min(first, self._first[low]), max(after, self._after[high - 1])
        self._first[low:high], self._after[low:high] = [first], [after]
        if len(self._first) > _MOST_GAPS:
            del self._first[1], self._after[0]
