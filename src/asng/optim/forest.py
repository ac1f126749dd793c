"""A forest of random trees, which predicts good points even if losses jump and have steps.

A smooth process predicts badly if a loss is constant over wide ranges and jumps between them, such as the
loss of a decision tree as a function of its depth. A tree of splits has steps itself, and here uses only the
order of losses. Each tree is grown over all points, until all losses of a node are equal. Each node leaves
out some variables at random. For each other variable that is not constant there, one threshold is drawn
between its smallest and largest value, and the best of these splits is taken. The disagreement of the trees
measures their uncertainty.

References:
    Geurts, Ernst, Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
    Ho, "The random subspace method for constructing decision forests", IEEE PAMI 20, 1998 (a part of the
    columns for each tree).
    Hutter, Hoos, Leyton-Brown, "Sequential model-based optimization for general algorithm configuration",
    LION 2011 (forests as the model of a search, Section 4.1).
"""

import numpy as np
from scipy.special import ndtri

from asng.distributions import Floats, Ints, Product
from asng.optim.proposals import Flags, log_improvement

__all__ = ["Forest", "coded", "scores"]

TREES = 20
"""Number of trees, which are grown in parallel."""

_TAKEN = 0.6
"""The probability that a node considers a variable."""

_LEAST = 1e-3
"""Added to the standard deviation, which is 0 if all trees agree."""

_MOST = 32
"""Most columns of a tree, which bounds the cost; if there are more, each tree draws its own."""

_UNREAD = -0.5
"""The code of an ordered variable that was not read, in units of the range: outside of all read values."""


class Forest:
    """Trees over points with known scores.

    Args:
        rng: Source of randomness.
        z: Coded points, shape (n, F).
        y: Their scores, shape (n,).

    Example:
        >>> z = np.linspace(0.0, 1.0, 20)[:, None]
        >>> forest = Forest(np.random.default_rng(0), z, (z[:, 0] > 0.5) * 1.0)
        >>> forest.predicted(np.array([[0.1], [0.9]]))[0].tolist()
        [0.0, 1.0]
    """

    def __init__(self, rng: np.random.Generator, z: Floats, y: Floats) -> None:
        (n, size), self._best = z.shape, float(y.min())
        columns = np.tile(np.arange(size), (TREES, 1))
        if size > _MOST:
            columns = np.argsort(rng.random((TREES, size)), axis=1)[:, :_MOST]
        z, y = np.concatenate([z[:, own] for own in columns]), np.tile(y, TREES)
        # For each level and node: its column, its threshold, and the first of its two children, or -1.
        self._levels: list[tuple[Ints, Floats, Ints]] = []
        self._values: list[Floats] = []
        points = np.arange(TREES * n)  # of all trees end to end, grouped by node
        sizes = np.full(TREES, n)
        while len(points):
            starts = np.cumsum(sizes) - sizes
            own = y[points]
            mean = np.add.reduceat(own, starts) / sizes
            self._values.append(mean)
            inner = np.maximum.reduceat(own, starts) > np.minimum.reduceat(own, starts)
            points, sizes = points[np.repeat(inner, sizes)], sizes[inner]
            feature, threshold = np.zeros(len(inner), dtype=np.intp), np.full(len(inner), np.inf)
            child = np.full(len(inner), -1)
            if len(points):
                split = _split(rng, z, y, points, sizes)
                can = split[2]
                points, sizes = points[np.repeat(can, sizes)], sizes[can]
                at, best = np.flatnonzero(inner)[can], split[0][can]
                trees = points[np.cumsum(sizes) - sizes] // n
                feature[at], threshold[at] = columns[trees, best], split[1][can]
                child[at] = 2 * np.arange(len(at))
                node = np.repeat(np.arange(len(at)), sizes)
                right = z[points, best[node]] > threshold[at][node]
                order = np.argsort(2 * node + right, kind="stable")
                points, sizes = points[order], np.bincount(2 * node + right, minlength=2 * len(at))
            self._levels.append((feature, threshold, child))

    def predicted(self, z: Floats) -> tuple[Floats, Floats]:
        """Return mean and std of the trees' scores at coded points of shape (m, F), each of shape (m,)."""
        m = len(z)
        node, at = np.repeat(np.arange(TREES), m), np.tile(np.arange(m), TREES)
        found, own = np.empty(TREES * m), np.arange(TREES * m)
        for (feature, threshold, child), values in zip(self._levels, self._values, strict=True):
            down = child[node]
            leaf = down < 0
            found[own[leaf]] = values[node[leaf]]
            inner = ~leaf
            own, at, node, down = own[inner], at[inner], node[inner], down[inner]
            node = down + (z[at, feature[node]] > threshold[node])
        each = found.reshape(TREES, m)
        return each.mean(axis=0), each.std(axis=0)

    def improvement(self, z: Floats) -> Floats:
        """Return the log expected improvement on the best score, shape (m,)."""
        mean, std = self.predicted(z)
        return log_improvement(self._best - mean, std + _LEAST)


def _split(
    rng: np.random.Generator, z: Floats, y: Floats, points: Ints, sizes: Ints
) -> tuple[Ints, Floats, Flags]:
    """Return feature and threshold of each node, and whether it can be split, each of shape (N,)."""
    starts, own = np.cumsum(sizes) - sizes, z[points]
    low, high = np.minimum.reduceat(own, starts), np.maximum.reduceat(own, starts)
    threshold = low + rng.random(low.shape) * (high - low)
    left = own <= np.repeat(threshold, sizes, axis=0)
    own_y = y[points]
    count = np.add.reduceat(left, starts, dtype=np.intp)
    total = np.add.reduceat(left * own_y[:, None], starts)
    whole = np.add.reduceat(own_y, starts)[:, None]
    rest = sizes[:, None] - count
    possible = (count > 0) & (rest > 0)
    gain = total**2 / np.maximum(count, 1) + (whole - total) ** 2 / np.maximum(rest, 1)
    taken = rng.random(low.shape)
    gain = np.where(taken < _TAKEN, gain, -1.0 - taken)  # if none is taken, a random one of the others
    feature = np.argmax(np.where(possible, gain, -np.inf), axis=1)
    rows = np.arange(len(sizes))
    return feature, threshold[rows, feature], np.asarray(possible.any(axis=1))


def coded(product: Product, x: Floats, active: Floats | None) -> Floats:
    """Return points coded for trees: ordered values in units of the range, choices one-hot, shape (n, F)."""
    family, at, columns = product.gaussians, product.ordered_columns, product.choice_columns
    parts = [(x[:, at] - family.low) / (family.high - family.low)]
    if active is not None:
        parts = [np.where(active[:, at] > 0.0, parts[0], _UNREAD)]
    for column, count in zip(columns.tolist(), product.categoricals.counts.tolist(), strict=True):
        hit = x[:, column, None] == np.arange(count)
        parts.append((hit if active is None else hit & (active[:, column, None] > 0.0)).astype(float))
    return np.concatenate(parts, axis=1)


def scores(losses: Floats) -> Floats:
    """Return normal scores of losses; equal losses share one, and non-finite losses are worst.

    Example:
        >>> scores(np.array([3.0, 1.0, 3.0, float("nan")])).round(2).tolist()
        [0.0, -1.15, 0.0, 1.15]
    """
    values = np.where(np.isfinite(losses), losses, np.inf)
    order = np.sort(values)
    places = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return np.asarray(ndtri(places / (2.0 * len(losses))))
