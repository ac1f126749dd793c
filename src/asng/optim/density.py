"""Propose points: draw them where good ones are dense, and choose among them by a forest of trees.

A smooth process predicts badly if losses jump, have steps, or are equal over wide ranges, as those of real
models do in their hyper-parameters. So some points are drawn from a density around the best tenth of the
known points. Of every hundred draws, the one with the largest expected improvement by a forest
(`asng.optim.forest`) is evaluated. Both use only the order of losses.

The density is the mean of a uniform one and of a window around each of its n points, a product over
variables:

| variable | window                                                                                        |
| -------- | --------------------------------------------------------------------------------------------- |
| ordered  | normal within the range, as wide as the larger gap to the next point on either side           |
| choice   | mass 1 on the point's own choice, plus 1 / n on each of the K choices: 1 + K / n in all       |
| not read | uniform                                                                                       |

References:
    Bergstra, Bardenet, Bengio, Kegl, "Algorithms for hyper-parameter optimization", NIPS 2011, Section 4
    (windows).
    Falkner, Klein, Hutter, "BOHB: robust and efficient hyperparameter optimization at scale", ICML 2018
    (products of windows).
    Hutter, Hoos, Leyton-Brown, "Sequential model-based optimization for general algorithm configuration",
    LION 2011 (a forest that chooses among points near the good ones).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from asng.distributions import Floats, Ints, Product
from asng.optim.forest import Forest, coded, scores
from asng.optim.model import Archive

__all__ = ["Density", "improving"]

_SHARE, _MOST = 0.1, 25
"""Share of the points that counts as good, and their maximum number."""

_DRAWN = 100
"""Draws from which the forest chooses one point."""


class Density:
    """The density around some points.

    Args:
        product: Family of distributions.
        x: Points, snapped, shape (n, D); n may be 0.
        active: 1 if a point read a variable, else 0, shape (n, D).

    Example:
        >>> from asng.space import Real, Space
        >>> product = Product(Space({"x": Real(0.0, 1.0)}))
        >>> density = Density(product, np.array([[0.2], [0.21], [0.22]]), np.ones((3, 1)))
        >>> drawn = density.draw(np.random.default_rng(0), 1000)
        >>> bool(((drawn > 0.1) & (drawn < 0.3)).mean() > 0.3)
        True
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
        """Draw m points, snapped, shape (m, D)."""
        product, family, n = self._product, self._product.gaussians, len(self._x)
        x = product.snapped(product.uniform(rng.random((m, product.n_free))))
        at = rng.integers(0, n + 1, m)  # n means the uniform density
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


def _gaps(x: Floats, low: float, high: float) -> Floats:
    """Return the larger distance of each number to its neighbours; if it is alone, to the bounds.

    It is at least 1 / (n + 2) and 1 / 100 of the range, and at most the range.
    """
    n, order = len(x), np.argsort(x, kind="stable")
    apart = np.diff(x[order], prepend=low, append=high)
    if n > 1:
        apart[0], apart[-1] = apart[1], apart[-2]
    gaps = np.empty(n)
    gaps[order] = np.maximum(apart[:-1], apart[1:])
    return np.clip(gaps, (high - low) / min(100.0, n + 2.0), high - low)


def improving(
    product: Product,
    rng: np.random.Generator,
    archive: Archive,
    points: Floats,
    at: Ints,
    *,
    reads: Callable[[Floats], Floats | None],
    known: Callable[[Floats], NDArray[np.bool_]],
) -> Floats:
    """Replace some points by draws near good ones for which a forest expects the largest improvement.

    Args:
        product: Family of distributions.
        rng: Source of randomness.
        archive: The evaluated points.
        points: Snapped points, shape (n, D).
        at: Indices of the points to replace; a point stays if nothing new is drawn for it.
        reads: Returns which variables points are expected to read.
        known: Returns which points need no evaluation, shape (m,).
    """
    best = archive.order()[: max(1, min(math.ceil(_SHARE * len(archive)), _MOST))]
    good = Density(product, archive.x[best], archive.active[best])
    forest = Forest(rng, coded(product, archive.x, archive.active), scores(archive.losses))
    points = points.copy()
    for i in at.tolist():
        drawn = good.draw(rng, _DRAWN)
        drawn = drawn[~(known(drawn) | (drawn[:, None] == points).all(axis=2).any(axis=1))]
        if len(drawn):
            points[i] = drawn[int(np.argmax(forest.improvement(coded(product, drawn, reads(drawn)))))]
    return points
