"""The posterior of architectures' losses after some were trained alone: a Gaussian process over choices.

    g = H b + r,   b ~ N(-gain, diag(doubt^2)),   r ~ GP(0, exp(-D / length))
    y = sqrt(q) (g + H c) + e,   c ~ N(0, diag(hidden^2)),   e ~ N(0, 1 - q)

where

    y       losses after training alone, shape (n,), with mean 0 and variance 1
    H       hints, shape (n, h), standard normal over the space: size, and the score on shared weights
    g       the quantity of interest: how good the architectures are, without the noise of their training
    q       reliability of a loss: the share of its variance due to the architecture rather than chance
    D       number of differing variables, shape (n, n); an ordered one counts by its distance, in [0, 1]
    length  the one of LENGTHS that is likeliest given y

A hint thus counts as far as the losses support it: with few losses its prior dominates, later the losses
do. Interactions are in r, whose correlation falls with every choice that differs.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.7.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.stats import norm

from asng.search.settling import correlation
from asng.space import Categorical, Space, Value

__all__ = ["Belief", "Hint", "coordinates", "improvement", "normal_scores", "reliability_of"]

LENGTHS = (0.25, 0.5, 1.0, 2.0)
"""Correlation lengths that are tried, in shares of the number of variables."""
LEVEL = 0.5
"""Prior variance of the space's mean, which the trained architectures do not show, as they were selected."""

RELIABILITY = 0.7
"""Prior expectation of the correlation between losses after half of a training and after all of it."""
TRUSTED = 4
"""Weight of that expectation, as a number of losses."""


class Hint(NamedTuple):
    """The prior on a feature that may indicate good architectures before they are trained.

    Attributes:
        gain: Expected decrease of the loss, in its standard deviations, per standard deviation of the feature
            over the space.
        doubt: Standard deviation of that decrease.
        hidden: Standard deviation of what one unit of the feature adds to the observed losses but not to the
            quality of the architecture. After a short training large ones lag: it shows how fast they learn.
    """

    gain: float
    doubt: float
    hidden: float = 0.0


def coordinates(space: Space, children: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
    """Return the values of children by variable, shape (n, variables); NaN if a variable is not read.

    A category becomes its index; an ordered value its position between the ends, in [0, 1].

    Example:
        >>> from asng.space import Categorical, Integer
        >>> space = Space({"op": Categorical(["a", "b"]), "width": Integer(2, 6)})
        >>> coordinates(space, [{"op": "b", "width": 3}, {"op": "a"}])
        array([[1.  , 0.25],
               [0.  ,  nan]])
    """
    rows = np.full((len(children), len(space)), np.nan)
    for column, (name, variable) in enumerate(space.items()):
        low, high = 0.0, 1.0
        if not isinstance(variable, Categorical):
            low, high = variable.encode(variable.low), variable.encode(variable.high)
        for row, child in zip(rows, children, strict=True):
            if name in child:
                row[column] = (variable.encode(child[name]) - low) / ((high - low) or 1.0)
    return rows


def normal_scores(
    values: NDArray[np.float64], among: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return standard normal quantiles by rank, shape (n,); equal values get equal quantiles.

    Args:
        values: The values; non-finite ones rank lowest.
        among: The values to rank them among, at least one. Default: `values`.

    Example:
        >>> normal_scores(np.array([7.0, 1.0, 1.0])).round(2).tolist()
        [0.67, -0.32, -0.32]
    """
    values = np.where(np.isfinite(values), values, -np.inf)
    others = np.sort(values if among is None else np.where(np.isfinite(among), among, -np.inf))
    below, up_to = np.searchsorted(others, values, "left"), np.searchsorted(others, values, "right")
    scores: NDArray[np.float64] = norm.ppf((below + up_to + 1.0) / (2.0 * len(others) + 2.0))
    return scores


def capped(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cap losses at twice as far above the median as the best is below it, shape (n,).

    Otherwise a network that does not train, or whose loss is not finite, would make all others look alike.

    Example:
        >>> capped(np.array([1.0, 1.2, 1.1, 9.0, np.nan])).round(2).tolist()
        [1.0, 1.2, 1.1, 1.6, 1.6]
    """
    values = np.where(np.isfinite(losses), losses, np.inf)
    median = float(np.median(values))
    if not np.isfinite(median):  # half of the losses or more are not finite
        finite = values[np.isfinite(values)]
        median = float(finite.max()) if len(finite) else 0.0
    return np.minimum(values, median + 2.0 * (median - min(float(values.min()), median)))


class Belief:
    """The posterior of the losses of architectures.

    Args:
        ordered: Which columns are ordered, shape (variables,).
        x: Coordinates of the trained architectures, shape (n, variables), n >= 1.
        hints: Their hints, shape (n, h).
        losses: Their losses, shape (n,), of which the worst are `capped`.
        priors: The prior of each hint.
        reliability: q, in (0, 1).
    """

    def __init__(
        self,
        ordered: NDArray[np.bool_],
        x: NDArray[np.float64],
        hints: NDArray[np.float64],
        losses: Sequence[float],
        priors: Sequence[Hint],
        reliability: float,
    ) -> None:
        self._ordered, self._x, self._hints, self._signal = ordered, x, hints, reliability
        self._gains = -np.sqrt(reliability) * np.array([hint.gain for hint in priors])
        self._doubts = np.array([hint.doubt for hint in priors])
        hidden = hints * np.array([hint.hidden for hint in priors])
        y = capped(np.asarray(losses, float))
        # Equal losses can have a standard deviation that is not quite 0, by rounding.
        self.mean, self.scale = float(y.mean()), float(y.std()) if np.ptp(y) > 0.0 else 1.0
        expected = hints @ self._gains
        # y has mean 0 whatever the hints predict: only differences between architectures count.
        self._shift = float(expected.mean())
        residuals = (y - self.mean) / self.scale - (expected - self._shift)
        distances = self._distances(x, x)
        best = -np.inf
        for length in np.array(LENGTHS) * x.shape[1]:
            covariance = self._covariance(distances, hints, hints, length)
            covariance += reliability * hidden @ hidden.T + (1.0 - reliability) * np.eye(len(y))
            factor = cholesky(covariance, lower=True)
            evidence = -0.5 * residuals @ cho_solve((factor, True), residuals) - np.log(np.diag(factor)).sum()
            if evidence > best:
                best, self.length, self._factor = evidence, float(length), factor
        self._weights = cho_solve((self._factor, True), residuals)

    def of(
        self, x: NDArray[np.float64], hints: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the noise-free losses of others, each of shape (m,)."""
        between = self._covariance(self._distances(self._x, x), self._hints, hints, self.length)
        mean = between.T @ self._weights + hints @ self._gains - self._shift
        solved = solve_triangular(self._factor, between, lower=True)
        own = self._signal * (1.0 + LEVEL + (hints**2) @ self._doubts**2)
        std = np.sqrt(np.maximum(own - (solved**2).sum(axis=0), 1e-12))
        return self.mean + self.scale * mean, self.scale * std

    def _covariance(
        self,
        distances: NDArray[np.float64],
        hints: NDArray[np.float64],
        others: NDArray[np.float64],
        length: float,
    ) -> NDArray[np.float64]:
        covariance: NDArray[np.float64] = self._signal * (
            np.exp(-distances / length) + (hints * self._doubts**2) @ others.T + LEVEL
        )
        return covariance

    def _distances(self, x: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the number of variables in which rows differ, shape (n, m)."""
        a, b = x[:, None, :], others[None, :, :]
        apart = np.where(self._ordered, np.abs(a - b), a != b)
        missing = np.isnan(a).astype(int) + np.isnan(b)
        distances: NDArray[np.float64] = np.where(missing == 0, apart, missing == 1).sum(axis=2, dtype=float)
        return distances


def improvement(mean: NDArray[np.float64], std: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return the expected improvement on the smallest loss `best`, shape (n,).

    References:
        Jones, Schonlau, Welch, "Efficient Global Optimization of Expensive Black-Box Functions", Journal of
        Global Optimization 13, 1998, equation 15.
    """
    z = (best - mean) / std
    expected: NDArray[np.float64] = std * (z * norm.cdf(z) + norm.pdf(z))
    return expected


def reliability_of(before: Sequence[float], after: Sequence[float]) -> float:
    """Estimate how reliably losses rank architectures, from how well an earlier order agrees with a later.

    Args:
        before: Losses halfway through each training.
        after: Losses at the end.

    Returns:
        Between 0.1 and 0.9: with few losses near `RELIABILITY`, later near their rank correlation.

    Example:
        >>> reliability_of([], []), round(reliability_of([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]), 2)
        (0.7, 0.1)
    """
    known = len(after)
    agreement = correlation(list(before), list(after)) if known > 2 else 0.0
    known = known if known > 2 else 0
    return min(0.9, max(0.1, (known * agreement + TRUSTED * RELIABILITY) / (known + TRUSTED)))
