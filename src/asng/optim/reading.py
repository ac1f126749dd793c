"""Predict which variables a point will read, from what earlier calls read."""

from typing import TypeAlias

import numpy as np

from asng.distributions import Floats, Ints, Product

__all__ = ["Reading", "read_only"]

_DEEPEST = 4
"""Most choices that decide whether a variable is read."""


_Tree: TypeAlias = float | tuple[int, dict[int, "_Tree"]]
"""Whether a variable is read, or the column of a choice and the tree below each of its values."""


class Reading:
    """A decision tree over choices for every variable that some calls read and others did not.

    Args:
        product: Family of distributions.
        x: Evaluated points, shape (n, D).
        active: 1 if a point read a variable, shape (n, D).

    Example:
        >>> from asng.space import Categorical, Real, Space
        >>> product = Product(Space({"kernel": Categorical(["linear", "rbf"]), "gamma": Real(0.0, 1.0)}))
        >>> reading = Reading(product, np.array([[0.0, 0.3], [1.0, 0.3]]), np.array([[1.0, 0.0], [1.0, 1.0]]))
        >>> reading(np.array([[0.0, 0.9], [1.0, 0.1]])).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, product: Product, x: Floats, active: Floats) -> None:
        columns, counts = product.choice_columns.tolist(), product.categoricals.counts.tolist()
        self._counts = dict(zip(columns, counts, strict=True))
        self._x = np.zeros(x.shape, dtype=np.intp)
        self._x[:, columns] = x[:, columns]  # only choices: reals may lie beyond any integer
        share = active.mean(axis=0)
        self._never = share == 0.0
        unsure = np.flatnonzero((share > 0.0) & (share < 1.0)).tolist()
        self._trees = {d: self._tree(d, np.arange(len(x)), active[:, d], _DEEPEST) for d in unsure}

    def __call__(self, x: Floats) -> Floats | None:
        """Return 1 if a point is expected to read a variable, shape (m, D); None if all read all."""
        if not self._trees and not self._never.any():
            return None
        expected = np.ones(x.shape)
        expected[:, self._never] = 0.0
        for d, tree in self._trees.items():
            _fill(tree, x, np.arange(len(x)), expected[:, d])
        return expected

    def _tree(self, d: int, own: Ints, read: Floats, depth: int) -> _Tree:
        """Return the tree of variable `d`, from some samples and whether they read it."""
        share = float(read.mean())
        split = None if share in (0.0, 1.0) or depth == 0 else self._split(d, own, read)
        if split is None:
            return float(share >= 0.5)
        at = self._x[own, split]
        below = {choice: at == choice for choice in np.unique(at).tolist()}
        return split, {c: self._tree(d, own[here], read[here], depth - 1) for c, here in below.items()}

    def _split(self, d: int, own: Ints, read: Floats) -> int | None:
        """Return the choice that best predicts whether d is read, None if no choice helps."""
        share = float(read.mean())
        best, least = None, len(read) * share * (1.0 - share) * (1.0 - 1e-9)
        for column, count in self._counts.items():
            if column == d:
                continue
            at = self._x[own, column]
            n = np.bincount(at, minlength=count)
            mean = np.bincount(at, weights=read, minlength=count) / np.maximum(n, 1)
            left = sum((n * mean * (1.0 - mean)).tolist())  # remaining variance of reading d, as in CART
            if left < least:
                best, least = column, left
        return best


def _fill(tree: _Tree, x: Floats, at: Ints, expected: Floats) -> None:
    """Fill in a tree's predictions; with a choice that no sample made, points may read all, so 1 stays."""
    if isinstance(tree, float):
        expected[at] = tree
        return
    split, below = tree
    chosen = x[at, split]
    for choice, part in below.items():
        there = at[chosen == choice]
        if len(there):
            _fill(part, x, there, expected)


def read_only(x: Floats, active: Floats | None) -> Floats:
    """Return points with 0 for what they do not read: those that no evaluation can tell apart are equal."""
    return x if active is None else np.where(active > 0.0, x, 0.0)
