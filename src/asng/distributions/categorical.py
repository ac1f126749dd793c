"""Independent categorical variables, each with its own number of choices.

The probabilities of all variables lie end to end in one flat vector. Thus variables with different numbers
of choices need no padding, and every operation takes time linear in the total number of choices.
"""

import math
from collections.abc import Sequence

import numpy as np

from asng.distributions.arrays import Floats, Ints, Rules, Segments, blocks, bounded

__all__ = ["Categoricals"]

_ALL_MODES = 0.73
"""CatCMA's probability that all variables draw their mode once every theta_d has reached its margin."""


_MOST_CHOICES = 64
"""Up to this many choices, sampling counts sums for all variables at once, in one byte per count."""


class Categoricals:
    """A product of categorical distributions, in expectation parameters (the probabilities).

    The natural gradient of the log-likelihood in these coordinates is ``one_hot(c) - theta``. Stateless:
    every method takes theta, the flat vector of probabilities.

    Differs: the smallest probability has CatCMA's form, ``(1 - settled^(1/n)) / (K_d - 1)`` over n
    variables, at most half of a uniform share. Once every variable has reached its bound, all of them draw
    their mode with probability `settled`, whatever their number. The paper's form, ``1 / (D (K_d - 1))``,
    gives 0.37 for many variables and is infeasible (>= 1 / K_d) for few. With ``rules="paper"``, CatCMA's
    form with 0.73 replaces it only there.

    Args:
        counts: K_d, the number of choices of each variable, each at least 2. Shape (D,).
        settled: The probability that all variables draw their mode once all have reached their bounds, in
            (0, 1). Lower recovers sooner from a wrongly rejected choice; higher draws the mode more often.
        among: n, the number of variables that share this probability, other families included. Default: D.
        rules: "paper" uses the paper's margin, and the coordinates of F^(1/2) G that single out the
            last choice; "default" treats all choices alike.

    Attributes:
        counts: K_d as an array, shape (D,).
        starts: Index of each variable's first entry of theta, shape (D,).
        segments: The segments of theta, one per variable.
        theta_min: Smallest probability of each variable, shape (D,).
        n_theta: Degrees of freedom, sum (K_d - 1).

    Example:
        >>> family = Categoricals([2, 3])
        >>> theta = family.initial()
        >>> family.sample(theta, np.array([[0.4, 0.9]]))
        array([[0, 2]])

    References:
        Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture
        Search", ICML 2019, Section 4. Hamano et al., "CatCMA: Stochastic Optimization for
        Mixed-Category Problems", GECCO 2024 (the margin).
    """

    def __init__(
        self,
        counts: Sequence[int],
        *,
        rules: Rules = "default",
        settled: float = 0.37,
        among: int | None = None,
    ) -> None:
        self.segments = segments = Segments(counts)
        self.counts, self.starts, self.ends = segments.counts, segments.starts, segments.ends
        self.size = len(self.counts)
        self.theta_min = _margins(self.counts, rules, settled, among or self.size)
        self.n_theta = int(np.sum(self.counts - 1))
        self._rules = rules
        self._floor = segments.spread(self.theta_min)
        self._mass = self.theta_min * self.counts
        self._but_last = np.setdiff1d(np.arange(len(segments.owner)), self.ends - 1)
        self._later_starts = self.starts[1:]
        self._most_entropy = np.log(self.counts)
        self._bounds = _bounds(segments)

    def initial(self) -> Floats:
        """Return the uniform distribution, shape (sum K_d,)."""
        return self.segments.spread(1.0 / self.counts)

    def sample(self, theta: Floats, u: Floats) -> Ints:
        """Map uniform numbers to choices by the inverse distribution function.

        Args:
            theta: Probabilities, shape (sum K_d,).
            u: Uniform numbers in [0, 1), shape (n, D).

        Returns:
            Indices of choices, shape (n, D).
        """
        cumulative, index = self._cumulative(theta), np.empty(u.shape, dtype=np.intp)
        if self._bounds is not None:
            for own in blocks(len(u) * len(self._bounds), self.size):
                below = cumulative[self._bounds[:, None, own]] <= u[:, own]
                index[:, own] = np.add.reduce(below.view(np.int8), axis=0, dtype=np.int8)
            return index
        for row in blocks(len(theta), len(u)):
            below = cumulative[:-1] <= u[row].take(self.segments.owner, axis=1)
            index[row] = np.add.reduceat(below, self.starts, axis=1, dtype=np.intp)
        # The last cumulative sum may round to just below 1, with u above it.
        return np.minimum(index, self.counts - 1, out=index)

    def mode(self, theta: Floats) -> Ints:
        """Return the most likely choice of each variable (the first of equals), shape (D,)."""
        peaks = np.flatnonzero(theta == self.segments.spread(np.maximum.reduceat(theta, self.starts)))
        first = np.searchsorted(peaks, self.starts)
        index: Ints = peaks[first] - self.starts
        return index

    def natural_gradient(self, theta: Floats, c: Ints, w: Floats) -> Floats:
        """Return G = (1/n) sum_i w_i (one_hot(c_i) - theta), shape (sum K_d,).

        Args:
            theta: Probabilities, shape (sum K_d,).
            c: Indices of choices, shape (n, D).
            w: Weight of each sample, shape (n, 1), or of each sample and variable, shape (n, D).
        """
        n = len(c)
        weights = np.broadcast_to(w, c.shape)
        hits = np.bincount((c + self.starts).ravel(), weights=weights.ravel(), minlength=len(theta))
        total = w.sum(axis=0)
        if len(total) > 1:
            total = self.segments.spread(total)
        G: Floats = (hits - total * theta) / n
        return G

    def fisher_root(self, theta: Floats, G: Floats) -> Floats:
        """Return coordinates of G whose Euclidean norm is its norm in the Fisher metric.

        They are ``G_k / sqrt(theta_k)`` for all K choices. With the paper's rules they are the K - 1
        entries of F^(1/2) G in the coordinates theta_1 .. theta_{K-1}:
        ``G_k / sqrt(theta_k) + sqrt(theta_k) sum_{j<K} G_j / (theta_K + sqrt(theta_K))``.

        Returns:
            Shape (sum K_d,), or (sum (K_d - 1),) with the paper's rules.
        """
        root = np.sqrt(theta)
        if self._rules == "default":
            return G / root
        last = self.ends - 1
        # sum_{j<K} G_j = -G_K, because G sums to 0 over the choices.
        share = -G[last] / (theta[last] + root[last])
        return (G / root + root * self.segments.spread(share))[self._but_last]

    def centred(self, scale: Floats, root: Floats) -> Floats:
        """Project a vector in `fisher_root` coordinates so that it changes no sum of theta.

        Args:
            scale: The square roots of theta, shape (sum K_d,).
            root: The vector, of the same shape.
        """
        centred = np.empty_like(root)
        for _, entries, segments in self.segments.parts:
            own = scale[entries]
            sums = segments.spread(segments.sums(own * root[entries]))
            np.subtract(root[entries], own * sums, out=centred[entries])
        return centred

    def move(self, theta: Floats, G: Floats, eps: float) -> Floats:
        """Return probabilities after a step of eps along G, inside their bounds.

        If a variable's G is 0, its probabilities stay the same to the last bit; the projection might round.
        """
        new = self.project(theta, G, eps)
        if np.count_nonzero(G) == len(G):
            return new
        moved = np.logical_or.reduceat(G != 0.0, self.starts)
        return np.where(self.segments.spread(moved), new, theta)

    def project(self, theta: Floats, G: Floats | None = None, eps: float = 0.0) -> Floats:
        """Return probabilities of at least theta_min that sum to 1 for each variable.

        Clip from below, then shrink the excesses over theta_min in proportion.

        Args:
            theta: Numbers of any sign that sum to 1 for each variable, shape (sum K_d,).
            G: Direction to add to theta first, times eps. Default: none.
            eps: Factor of G.
        """
        projected = np.empty_like(theta)
        for own, entries, segments in self.segments.parts:
            floor, moved = self._floor[entries], theta[entries]
            if G is not None:
                moved = moved + eps * G[entries]
            new = np.maximum(moved, floor, out=projected[entries])
            total = segments.sums(new)
            shrink = (total - 1.0) / (total - self._mass[own])
            new -= segments.spread(shrink) * (new - floor)
            new /= segments.spread(segments.sums(new))
        return projected

    def entropy(self, theta: Floats) -> Floats:
        """Return the entropy of each variable divided by its maximum log K_d, shape (D,), in [0, 1]."""
        total = self.segments.sums(-theta * np.log(theta))
        return bounded(total / self._most_entropy, 0.0, 1.0)

    def _cumulative(self, theta: Floats) -> Floats:
        """Return the cumulative sums within each variable, then infinity, shape (sum K_d + 1,).

        One running sum serves all variables. Subtracting the previous variable's total at each start keeps
        it at most about 1, so that rounding does not grow with the number of variables.
        """
        steps = np.empty(len(theta) + 1)
        steps[:-1], steps[-1] = theta, np.inf
        steps[self._later_starts] -= self.segments.sums(theta)[:-1]
        steps[:-1].cumsum(out=steps[:-1])
        return steps


def _bounds(segments: Segments) -> Ints | None:
    """Return the indices of each variable's first K_d - 1 cumulative sums, or None if these are too ragged.

    The result has shape (max K_d - 1, D). A variable with fewer choices has the index of the final infinity
    in the remaining places.
    """
    counts, most = segments.counts, max(segments.counts.max(initial=0), 2)
    if most > _MOST_CHOICES or most * len(counts) > 2 * counts.sum():
        return None
    place = np.arange(most - 1)[:, None]
    return np.where(place < counts - 1, segments.starts + place, len(segments.owner))


def _margins(counts: Ints, rules: Rules, settled: float, among: int) -> Floats:
    if rules == "default":
        return np.minimum(_shared(settled, among) / (counts - 1), 0.5 / counts)
    paper = 1.0 / (max(len(counts), 1) * (counts - 1))
    return np.where(paper < 1.0 / counts, paper, _shared(_ALL_MODES, len(counts)) / (counts - 1))


def _shared(settled: float, among: int) -> float:
    """Return the probability that each of `among` variables leaves to choices other than its mode."""
    return 1.0 - math.pow(settled, 1.0 / max(among, 1))
