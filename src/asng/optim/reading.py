"""Which variables a point is expected to read, from what earlier calls read."""

import numpy as np

from asng.distributions import Floats, Ints, Product

__all__ = ["Reading", "read_only"]

_DEEPEST = 4
"""So many choices decide at most whether a variable is read."""


class Reading:
    """A tree of choices for every variable that some calls read and others did not.

    Args:
        product: Family of distributions.
        x: Points that were evaluated, shape (n, D).
        active: 1 where a point read a variable, shape (n, D).

    Example:
        >>> from asng.space import Categorical, Real, Space
        >>> product = Product(Space({"kernel": Categorical(["linear", "rbf"]), "gamma": Real(0.0, 1.0)}))
        >>> reading = Reading(product, np.array([[0.0, 0.3], [1.0, 0.3]]), np.array([[1.0, 0.0], [1.0, 1.0]]))
        >>> reading(np.array([[0.0, 0.9], [1.0, 0.1]])).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, product: Product, x: Floats, active: Floats) -> None:
        self._choices = [int(column) for column in product.choice_columns]
        self._x, self._active = x, active
        share = active.mean(axis=0)
        self._never = share == 0.0
        self._unsure = [int(d) for d in np.flatnonzero((share > 0.0) & (share < 1.0))]

    def __call__(self, x: Floats) -> Floats | None:
        """Return 1 where a point is expected to read a variable, shape (m, D); None where all read all."""
        if not self._unsure and not self._never.any():
            return None
        expected = np.ones(x.shape)
        expected[:, self._never] = 0.0
        for d in self._unsure:
            self._descend(d, np.arange(len(self._x)), x, np.arange(len(x)), expected, _DEEPEST)
        return expected

    def _descend(self, d: int, own: Ints, x: Floats, at: Ints, expected: Floats, depth: int) -> None:
        """Fill in the column of a variable for some points, by the samples that chose as they do."""
        read = self._active[own, d]
        share = float(read.mean())
        split = None if share in (0.0, 1.0) or depth == 0 or not len(at) else self._split(d, own, read)
        if split is None:
            expected[at, d] = float(share >= 0.5)
            return
        for choice in np.unique(x[at, split]):
            below = own[self._x[own, split] == choice]
            there = at[x[at, split] == choice]
            if len(below):
                self._descend(d, below, x, there, expected, depth - 1)  # else it may well be read: stays 1

    def _split(self, d: int, own: Ints, read: Floats) -> int | None:
        """Return the choice that says most of whether d is read, None if no choice says anything."""
        share = float(read.mean())
        best, least = None, len(read) * share * (1.0 - share) * (1.0 - 1e-9)
        for column in self._choices:
            if column == d:
                continue
            left = 0.0  # of the variance of d's being read, as in a tree of CART
            for choice in np.unique(self._x[own, column]):
                part = read[self._x[own, column] == choice]
                left += float(len(part) * part.mean() * (1.0 - part.mean()))
            if left < least:
                best, least = column, left
        return best


def read_only(x: Floats, active: Floats | None) -> Floats:
    """Return points with 0 for what they do not read, the same where no evaluation can tell them apart."""
    return x if active is None else np.where(active > 0.0, x, 0.0)
