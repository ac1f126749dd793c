r"""The scores of samples, the gradients of their log-likelihoods, by the default rules.

In the coordinates of `Product.fisher_root`, in which the Fisher metric is the identity, that of sample i is

    phi_i = (one_hot(c_i) - theta) / sqrt(theta)    of its choices,
    phi_i = (z_i, (z_i^2 - 1) / sqrt 2)             of its ordered variables, z_i = (x_i - mean) / std,

and E[phi phi^T] is the identity but for what no probability can do. The estimate of the paper is
G = mean_i u_i phi_i in these coordinates.
"""

import math
from collections.abc import Iterator

import numpy as np

from asng.distributions.arrays import Floats, Ints, blocks
from asng.distributions.product import Placed, Product, Theta

__all__ = ["Scores"]


class Scores:
    """What an update needs of the scores of n samples, none of which is ever written out.

    Args:
        product: Family of distributions, default rules, D variables.
        theta: Parameters.
        x: Raw draws, shape (n, D).
        weights: Factor of each sample's score in each variable, shape (n, D). Default: all 1.
        placed: The draws in the coordinates of theta, where that is known already.

    Example:
        >>> from asng.space import Categorical, Space
        >>> product = Product(Space({"a": Categorical([0, 1])}))
        >>> scores = Scores(product, product.initial(), np.array([[0.0], [1.0], [1.0]]))
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
        self._product, self._theta, self._n = product, theta, len(x)
        self._choices = self._ordered = weights
        self._split = len(theta.p)
        self._at, z = placed or product.placed(theta, x)
        if len(theta.mean):
            self._z, self._z2 = z, (z * z - 1.0) / math.sqrt(2.0)
        if weights is not None:
            self._choices = weights[:, product.choice_columns]
            self._ordered = weights[:, product.ordered_columns]

    @property
    def _parts(self) -> Iterator[tuple[Ints, slice, slice]]:
        """The choices of some variables, counted from the first entry of the part; which variables; which entries."""
        parts = self._product.categoricals.segments.parts
        return ((at, own, entries) for at, (own, entries, _) in zip(self._at, parts, strict=True))

    def mean(self, u: Floats) -> Floats:
        """Return (1/n) sum_i u_i phi_i over the first n = len(u) samples, shape (n_root,)."""
        mean: Floats = self.means(u[None])[0]
        return mean

    def means(self, u: Floats) -> Floats:
        """Return what `mean` does of several utilities at once: u of shape (m, n), result (m, n_root)."""
        means: Floats = np.empty((len(u), self._product.n_root))
        if self._split:
            self._means_of_choices(u, means)
        if len(self._theta.mean):
            self._means_of_ordered(u, means[:, self._split :])
        return means

    def along(self, root: Floats) -> Floats:
        """Return the inner product of each sample's score with a vector, shape (n,).

        Args:
            root: In these coordinates, centred as `Product.centred` does it.
        """
        total: Floats = np.zeros(self._n)
        if self._split:
            for at, own, entries in self._parts:
                each = (root[entries] / self._theta.root[entries])[at]
                if self._choices is not None:
                    each *= self._choices[:, own]
                total += each.sum(axis=1)
        if len(root) > self._split:
            first, second = np.split(root[self._split :], 2)
            for (own,) in blocks(self._n, len(first)):
                each = self._z[:, own] * first[own] + self._z2[:, own] * second[own]
                if self._ordered is not None:
                    each *= self._ordered[:, own]
                total += each.sum(axis=1)
        return total

    def _means_of_choices(self, u: Floats, out: Floats) -> None:
        """Write the means by counting: G = (hits - total theta) / n, over the root of theta."""
        (m, n), theta = u.shape, self._theta
        total: Floats = u.sum(axis=1)[:, None]
        for at, own, entries in self._parts:
            size = entries.stop - entries.start
            if self._choices is None:
                weights = u.repeat(at.shape[1], axis=1)
            else:
                each = u[:, :, None] * self._choices[:n, own]
                total = each.sum(axis=1).repeat(self._product.categoricals.counts[own], axis=1)
                weights = each.reshape(m, -1)
            # Each utility counts into entries of its own.
            places = at[:n].ravel() + np.arange(0, m * size, size)[:, None]
            hits = np.bincount(places.ravel(), weights=weights.ravel(), minlength=m * size).reshape(m, size)
            hits -= total * theta.p[entries]
            np.divide(hits, n * theta.root[entries], out=out[:, entries])

    def _means_of_ordered(self, u: Floats, out: Floats) -> None:
        n, size = u.shape[1], len(self._theta.mean)
        for own, one in zip(out, u, strict=True):
            for (part,) in blocks(n, size):
                w = one[:, None] if self._ordered is None else one[:, None] * self._ordered[:n, part]
                own[:size][part] = (w * self._z[:n, part]).sum(axis=0) / n
                own[size:][part] = (w * self._z2[:n, part]).sum(axis=0) / n
