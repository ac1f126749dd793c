r"""Points that are likelier among the good ones than among the others, by the ratio of two densities.

A process that is smooth foresees little of losses that jump, that have steps, or that are equal over wide
ranges, as those of real models do in their hyper-parameters. Two densities use of losses only which are the
lowest: ``good(x)`` of the best tenth of the points, ``rest(x)`` of the others. A point is drawn from `good`
where ``good(x) / rest(x)`` is greatest, which is where expected improvement is.

Each is the mean of a uniform density and of a window about each of its n points, a product over variables:

| variable | window                                                                                      |
| -------- | ------------------------------------------------------------------------------------------- |
| ordered  | normal within the range, as wide as the greater of the gaps to the next point on either side |
| choice   | the point's own has a mass of 1, and each of the K choices one of 1 / n, of 1 + K / n in all |
| not read | uniform                                                                                     |

References:
    Bergstra, Bardenet, Bengio, Kegl, "Algorithms for hyper-parameter optimization", NIPS 2011, Section 4.
    Falkner, Klein, Hutter, "BOHB: robust and efficient hyperparameter optimization at scale", ICML 2018
    (products of windows).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from asng.distributions import Floats, Ints, Product

__all__ = ["Density", "likelier"]

_SHARE, _MOST = 0.1, 25
"""Share of the points that counts as good, and how many at most."""

_DRAWN = 24
_LEAST = -20.0
"""Logarithm of what a window is at least, relative to a uniform density."""


class Density:
    """The density about some points.

    Args:
        product: Family of distributions.
        x: Points, snapped, shape (n, D); n may be 0.
        active: 1 where a point read a variable, else 0, shape (n, D).

    Example:
        >>> from asng.space import Real, Space
        >>> product = Product(Space({"x": Real(0.0, 1.0)}))
        >>> density = Density(product, np.array([[0.5]]), np.ones((1, 1)))
        >>> density.log(np.array([[0.5], [0.0]]), None).round(2).tolist()
        [0.08, -0.16]
    """

    def __init__(self, product: Product, x: Floats, active: Floats) -> None:
        self._product, self._x, self._read = product, x, active > 0.0
        family, self._mass = product.gaussians, 1.0 / max(len(x), 1)
        ordered = product.ordered_columns
        self._mean, self._std = x[:, ordered], np.empty((len(x), len(ordered)))
        for d, (low, high) in enumerate(zip(family.low.tolist(), family.high.tolist(), strict=True)):
            own = self._read[:, ordered[d]]
            self._std[:, d] = high - low
            self._std[own, d] = _gaps(self._mean[own, d], low, high)
        self._below, self._above = (ndtr((end - self._mean) / self._std) for end in (family.low, family.high))

    def draw(self, rng: np.random.Generator, m: int) -> Floats:
        """Return m points of it, snapped, shape (m, D)."""
        product, family, n = self._product, self._product.gaussians, len(self._x)
        x = product.snapped(product.uniform(rng.random((m, product.n_free))))
        at = rng.integers(0, n + 1, m)  # n stands for the uniform density
        u, same = rng.random((m, family.size)), rng.random((m, len(product.choice_columns)))
        own, at = np.flatnonzero(at < n), at[at < n]
        parents, read = self._x[at], self._read[at]
        ordered, choices = product.ordered_columns, product.choice_columns
        below, above = self._below[at], self._above[at]
        moved = self._mean[at] + self._std[at] * ndtri(below + u[own] * (above - below))
        moved = np.clip(moved, family.low, family.high)
        kept = same[own] < 1.0 / (1.0 + self._mass * product.categoricals.counts)
        new = x[own]
        new[:, ordered] = np.where(read[:, ordered], moved, new[:, ordered])
        new[:, choices] = np.where(read[:, choices] & kept, parents[:, choices], new[:, choices])
        x[own] = new
        return product.snapped(x)

    def log(self, x: Floats, reads: Floats | None) -> Floats:
        """Return the logarithm of it at points, relative to a uniform density, shape (m,).

        Args:
            x: Points, shape (m, D).
            reads: Which variables they are expected to read, shape (m, D); None for all.
        """
        product = self._product
        windows = np.zeros((len(x), len(self._x) + 1))  # the last one is uniform
        family, within = product.gaussians, self._above - self._below
        scale = (family.high - family.low) / (self._std * within * math.sqrt(2.0 * math.pi))
        for d, column in enumerate(product.ordered_columns.tolist()):
            z = (x[:, column, None] - self._mean[:, d]) / self._std[:, d]
            own = np.logaddexp(-0.5 * z * z + np.log(scale[:, d]), _LEAST)
            windows[:, :-1] += np.where(self._both(column, reads), own, 0.0)
        for column, count in zip(
            product.choice_columns.tolist(), product.categoricals.counts.tolist(), strict=True
        ):
            high, low = ((hit + self._mass) * count / (1.0 + self._mass * count) for hit in (1.0, 0.0))
            own = np.where(x[:, column, None] == self._x[:, column], math.log(high), math.log(low))
            windows[:, :-1] += np.where(self._both(column, reads), own, 0.0)
        most = windows.max(axis=1)
        return np.asarray(most + np.log(np.exp(windows - most[:, None]).mean(axis=1)))

    def _both(self, column: int, reads: Floats | None) -> NDArray[np.bool_]:
        read = self._read[:, column]
        return read if reads is None else (reads[:, column, None] > 0.0) & read


def _gaps(x: Floats, low: float, high: float) -> Floats:
    """Return the greater of each number's distances to its neighbours, at the ends to the only one."""
    n, order = len(x), np.argsort(x, kind="stable")
    apart = np.diff(x[order], prepend=low, append=high)
    if n > 1:
        apart[0], apart[-1] = apart[1], apart[-2]
    gaps = np.empty(n)
    gaps[order] = np.maximum(apart[:-1], apart[1:])
    return np.clip(gaps, (high - low) / min(100.0, n + 2.0), high - low)


def likelier(
    product: Product,
    rng: np.random.Generator,
    known: tuple[Floats, Floats, Ints],
    *,
    reads: Callable[[Floats], Floats | None],
    unfit: Callable[[Floats], NDArray[np.bool_]],
) -> Floats:
    """Return the likeliest of a few points, if there is any, shape (1, D) or (0, D).

    Args:
        product: Family of distributions.
        rng: Source of randomness.
        known: Points that were evaluated, shape (n, D), what they read, and their places, the best first.
        reads: Which variables points are expected to read.
        unfit: Which points are not wanted, shape (m,).
    """
    x, active, order = known
    best = max(1, min(math.ceil(_SHARE * len(order)), _MOST))
    good, rest = (Density(product, x[at], active[at]) for at in (order[:best], order[best:]))
    drawn = good.draw(rng, _DRAWN)
    drawn = drawn[~unfit(drawn)]
    if not len(drawn):
        return drawn
    there = reads(drawn)
    at = int(np.argmax(good.log(drawn, there) - rest.log(drawn, there)))
    return drawn[at : at + 1]
