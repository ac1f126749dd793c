r"""The scores of samples, the gradients of their log-likelihoods, by the default rules.

In the coordinates of `Product.fisher_root`, in which the Fisher metric is the identity, that of sample i is

    phi_i = (one_hot(c_i) - theta) / sqrt(theta)    of its choices,
    phi_i = (z_i, (z_i^2 - 1) / sqrt 2)             of its ordered variables, z_i = (x_i - mean) / std,

and E[phi phi^T] is the identity but for what no probability can do. The estimate of the paper is
G = mean_i u_i phi_i in these coordinates.
"""

import math

import numpy as np

from asng.distributions.arrays import Floats, blocks
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

    def mean(self, u: Floats) -> Floats:
        """Return (1/n) sum_i u_i phi_i over the first n = len(u) samples, shape (n_root,)."""
        mean: Floats = np.empty(self._product.n_root)
        if self._split:
            self._mean_of_choices(u, out=mean[: self._split])
        if len(self._theta.mean):
            self._mean_of_ordered(u, *np.split(mean[self._split :], 2))
        return mean

    def along(self, root: Floats) -> Floats:
        """Return the inner product of each sample's score with a vector, shape (n,).

        Args:
            root: In these coordinates, centred as `Product.centred` does it.
        """
        total: Floats = np.zeros(self._n)
        if self._split:
            of_choice = root[: self._split] / self._theta.root
            for (own,) in blocks(self._n, self._at.shape[1]):
                each = of_choice[self._at[:, own]]
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

    def _mean_of_choices(self, u: Floats, out: Floats) -> None:
        """Write the mean by counting: G = (hits - total theta) / n, over the root of theta."""
        n, segments = len(u), self._product.categoricals.segments
        total: Floats | float = u.sum()
        for (own,) in blocks(n, len(segments.counts)):
            entries = segments.entries(own)
            at = self._at[:n, own]
            if self._choices is None:
                weights = u.repeat(at.shape[1])
            else:
                each = u[:, None] * self._choices[:n, own]
                weights, total = each.ravel(), each.sum(axis=0).repeat(segments.counts[own])
            if entries.start:
                at = at - entries.start
            hits = np.bincount(at.ravel(), weights=weights, minlength=entries.stop - entries.start)
            hits -= total * self._theta.p[entries]
            hits /= n * self._theta.root[entries]
            out[entries] = hits

    def _mean_of_ordered(self, u: Floats, first: Floats, second: Floats) -> None:
        n = len(u)
        for (own,) in blocks(n, len(first)):
            w = u[:, None] if self._ordered is None else u[:, None] * self._ordered[:n, own]
            first[own] = (w * self._z[:n, own]).sum(axis=0) / n
            second[own] = (w * self._z2[:n, own]).sum(axis=0) / n
