r"""The scores of samples, the gradients of their log-likelihoods, by the default rules.

In the coordinates of `Product.fisher_root`, in which the Fisher metric is the identity, that of sample i is

    phi_i = (one_hot(c_i) - theta) / sqrt(theta)    of its choices,
    phi_i = (z_i, (z_i^2 - 1) / sqrt 2)             of its ordered variables, z_i = (x_i - mean) / std,

and E[phi phi^T] is the identity but for what no probability can do. The estimate of the paper is
G = mean_i u_i phi_i in these coordinates.
"""

import math

import numpy as np

from asng.distributions.arrays import Floats, few_rows
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
        n, parts = len(u), []
        if self._split:
            parts.append(self._mean_of_choices(u))
        if len(self._theta.mean):
            w = u[:, None] if self._ordered is None else u[:, None] * self._ordered[:n]
            parts += [np.mean(w * self._z[:n], axis=0), np.mean(w * self._z2[:n], axis=0)]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def along(self, root: Floats) -> Floats:
        """Return the inner product of each sample's score with a vector, shape (n,).

        Args:
            root: In these coordinates, centred as `Product.centred` does it.
        """
        total: Floats = np.zeros(self._n)
        if self._split:
            of_choice = root[: self._split] / self._theta.root
            for rows in few_rows(self._n, self._at.shape[1]):
                each = of_choice[self._at[rows]]
                if self._choices is not None:
                    each *= self._choices[rows]
                total[rows] = each.sum(axis=1)
        if len(root) > self._split:
            first, second = np.split(root[self._split :], 2)
            each = self._z * first + self._z2 * second
            total += (each if self._ordered is None else self._ordered * each).sum(axis=1)
        return total

    def _mean_of_choices(self, u: Floats) -> Floats:
        """Return the mean by counting: G = (hits - total theta) / n, over the root of theta."""
        n, size = len(u), self._at.shape[1]
        if self._choices is None:
            weights, total = u.repeat(size), u.sum()
        else:
            each = u[:, None] * self._choices[:n]
            weights, total = each.ravel(), self._product.categoricals.segments.spread(each.sum(axis=0))
        hits = np.bincount(self._at[:n].ravel(), weights=weights, minlength=self._split)
        hits -= total * self._theta.p
        hits /= n * self._theta.root
        return hits
