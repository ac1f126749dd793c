r"""The scores of samples, which are the gradients of their log-likelihoods, under the default rules.

In the coordinates of `Product.fisher_root`, in which the Fisher metric is the identity, sample i has score

    phi_i = (one_hot(c_i) - theta) / sqrt(theta)    of its choices,
    phi_i = (z_i, (z_i^2 - 1) / sqrt 2)             of its ordered variables, z_i = (x_i - mean) / std,

and E[phi phi^T] is the identity on the directions that keep the sums of probabilities. The paper's estimate
is G = mean_i u_i phi_i in these coordinates.
"""

import math
from typing import NamedTuple

import numpy as np

from asng.distributions.arrays import Floats, Ints, Segments, blocks
from asng.distributions.product import Placed, Product, Theta

__all__ = ["ScoreVectors"]


class ScoreVectors:
    """The means and inner products of the scores of n samples, without storing the scores.

    Args:
        product: Family of distributions, default rules, D variables.
        theta: Parameters.
        x: Raw draws, shape (n, D).
        weights: Factor of each sample's score in each variable, shape (n, D). Default: all 1.
        placed: The draws in the coordinates of theta, if already known.

    Example:
        >>> from asng.space import Categorical, Space
        >>> product = Product(Space({"a": Categorical([0, 1])}))
        >>> scores = ScoreVectors(product, product.initial(), np.array([[0.0], [1.0], [1.0]]))
        >>> scores.mean(np.array([3.0, 0.0, 0.0])).round(3)
        array([ 0.707, -0.707])
        >>> scores.along(np.array([1.0, -1.0])).round(3)
        array([ 1.414, -1.414, -1.414])
    """

    def __init__(
        self,
        product: Product,
        theta: Theta,
        x: Floats,
        weights: Floats | None = None,
        *,
        placed: Placed | None = None,
    ) -> None:
        at, z = placed or product.placed(theta, x)
        self._n, self._n_root = len(z), product.n_root
        self._parts: list[_Choices | _Ordered] = []
        for c, (own, entries, segments) in zip(at, product.categoricals.segments.parts, strict=True):
            w = None if weights is None else weights[:, product.choice_columns[own]]
            self._parts.append(_Choices(c, segments, entries, theta.p[entries], theta.root[entries], w))
        size, start = len(theta.mean), len(theta.p)
        z2 = (z * z - 1.0) / math.sqrt(2.0) if size else z
        for own in blocks(self._n, size) if size else ():
            w = None if weights is None else weights[:, product.ordered_columns[own]]
            first, second = (slice(i + own.start, i + own.stop) for i in (start, start + size))
            self._parts.append(_Ordered(z[:, own], z2[:, own], first, second, w))

    def mean(self, u: Floats) -> Floats:
        """Return (1/n) sum_i u_i phi_i over the first n = len(u) samples, shape (n_root,)."""
        mean: Floats = self.means(u[None])[0]
        return mean

    def means(self, u: Floats) -> Floats:
        """Return `mean` for several utility vectors at once: u of shape (m, n), result (m, n_root)."""
        means: Floats = np.empty((len(u), self._n_root))
        for part in self._parts:
            part.means(u, means)
        return means

    def along(self, root: Floats) -> Floats:
        """Return the inner product of each sample's score with a vector, shape (n,).

        Args:
            root: The vector in these coordinates, shape (n_root,), centred by `Product.centred`.
        """
        total: Floats = np.zeros(self._n)
        for part in self._parts:
            total += part.along(root)
        return total


class _Choices(NamedTuple):
    """The choices of some variables: their indices in p, the entries of p, and the factors of scores."""

    at: Ints
    segments: Segments
    entries: slice
    p: Floats
    root: Floats
    weights: Floats | None

    def means(self, u: Floats, out: Floats) -> None:
        """Write the means by counting: G = (hits - total theta) / n, divided by the root of theta."""
        n, size = u.shape[1], len(self.p)
        at, scale = self.at[:n], n * self.root
        places = at.ravel()
        for own, one in zip(out, u, strict=True):
            if self.weights is None:
                w, total = one.repeat(at.shape[1]), one.sum()
            else:
                each = one[:, None] * self.weights[:n]
                w, total = each.ravel(), self.segments.spread(each.sum(axis=0))
            hits = np.bincount(places, weights=w, minlength=size)
            hits -= total * self.p
            np.divide(hits, scale, out=own[self.entries])

    def along(self, root: Floats) -> Floats:
        each = (root[self.entries] / self.root)[self.at]
        if self.weights is not None:
            each *= self.weights
        total: Floats = each.sum(axis=1)
        return total


class _Ordered(NamedTuple):
    """Some ordered variables: z, (z^2 - 1) / sqrt 2, their slices of a vector, and the factors of scores."""

    z: Floats
    z2: Floats
    first: slice
    second: slice
    weights: Floats | None

    def means(self, u: Floats, out: Floats) -> None:
        n = u.shape[1]
        z = self.z[:n]
        w = u[:, :, None] if self.weights is None else u[:, :, None] * self.weights[:n]
        out[:, self.first] = (w * z).sum(axis=1) / n
        out[:, self.second] = (w * self.z2[:n]).sum(axis=1) / n

    def along(self, root: Floats) -> Floats:
        each = self.z * root[self.first] + self.z2 * root[self.second]
        if self.weights is not None:
            each *= self.weights
        total: Floats = each.sum(axis=1)
        return total
