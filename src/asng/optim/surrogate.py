r"""A Gaussian process over a space, which predicts the losses of points that were not evaluated.

The covariance of two points is ``scale * m(r)``, with m the Matern function of order 5/2 and
``r^2 = sum_d w_d s_d``. Here s_d is the squared distance in variable d: in units of the range if ordered, 0
or 1 for choices. A variable that a call did not read has a separate place, so that the value drawn for it
does not matter. Losses enter after a transform to mean 0 and deviation 1 (`asng.optim.model.bent`).

| name  | shape     | meaning                                            | first value          |
| ----- | --------- | -------------------------------------------------- | -------------------- |
| w     | (D,)      | inverse squared length of each variable            | that of the prior    |
| scale | ()        | variance of the process                            | 1                    |
| noise | ()        | variance of a loss about the process               | 0.01                 |
| K     | (n, n)    | covariance of the losses of n points               |                      |

The logarithms of w, scale and noise are fitted to the likelihood and a prior. The prior of w favours long
lengths, more so with more variables.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, Sections 2.2 and 5.4.
    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning", ICNN 1993. Hvarfner,
    Hellsten, Nardi, "Vanilla Bayesian optimization performs great in high dimensions", ICML 2024 (prior of
    w).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from asng.distributions import Floats, Ints, Product
from asng.optim.linear import inverse, times

__all__ = ["Coordinates", "Hyper", "Surrogate", "evidence", "first_hyper", "fitted", "surprise"]

_UNREAD = 0.25
"""Squared distance of a variable that was not read from one in the middle of its range, in units of the
range."""

_SPREAD_W = 2.0 * math.sqrt(3.0)
_SPREAD_APART = 1.0
"""Prior standard deviation of one variable's log w from their mean; few points cannot tell more at first."""

_MEAN_SCALE, _SPREAD_SCALE = 0.0, 1.0
_MEAN_NOISE, _SPREAD_NOISE = math.log(0.01), 1.5
_LOWEST_NOISE = math.log(1e-5)
_HIGHEST, _SCALE_MAX = 12.0, 4.0
_FIRST_STEP = 0.3


@dataclass(frozen=True)
class Coordinates:
    """Points in the coordinates of the covariance.

    Attributes:
        choices: Indices of choices, -1 if not read, shape (n, D_choices).
        ordered: Ordered variables in units of the range, 1/2 if not read, shape (n, D_ordered).
        unread: 1/2 if an ordered variable was not read, else 0, shape (n, D_ordered).
    """

    choices: Floats
    ordered: Floats
    unread: Floats

    @classmethod
    def of(cls, product: Product, x: Floats, active: Floats | None = None) -> "Coordinates":
        """Make them from raw coordinates of shape (n, D), as returned by `Product.snapped`."""
        family, at = product.gaussians, product.ordered_columns
        choices = x[:, product.choice_columns]
        ordered = (x[:, at] - family.low) / (family.high - family.low)
        unread = np.zeros_like(ordered)
        if active is not None:
            choices = np.where(active[:, product.choice_columns] > 0.0, choices, -1.0)
            read = active[:, at] > 0.0
            ordered, unread = np.where(read, ordered, 0.5), np.where(read, 0.0, math.sqrt(_UNREAD))
        return cls(choices, ordered, unread)

    def squares(self, other: "Coordinates") -> Iterator[Floats]:
        """Yield squared distances, one variable at a time, choices first, shape (n, m).

        The same array is reused for all variables, because allocation costs more than the computation. Copy
        it to keep it.
        """
        found = np.empty((len(self.ordered), len(other.ordered)))
        for own, others in zip(self.choices.T, other.choices.T, strict=True):
            np.not_equal(own[:, None], others, out=found, casting="unsafe")
            yield found
        unread = bool(self.unread.any() or other.unread.any())
        for own, others, missed, missing in zip(
            self.ordered.T, other.ordered.T, self.unread.T, other.unread.T, strict=True
        ):
            np.subtract(own[:, None], others, out=found)
            found *= found
            if unread:
                found += (missed[:, None] - missing) ** 2
            yield found

    def pairs(self) -> Floats:
        """Return squared distances of all pairs of n points, shape (D, n (n - 1) / 2)."""
        at = _below(len(self.ordered))[0]
        return np.array([squares.take(at) for squares in self.squares(self)])

    def joined(self, others: "Coordinates") -> "Coordinates":
        """Return these points followed by others."""
        return Coordinates(
            np.concatenate((self.choices, others.choices)),
            np.concatenate((self.ordered, others.ordered)),
            np.concatenate((self.unread, others.unread)),
        )

    def rows(self, at: slice | Floats) -> "Coordinates":
        """Return some of the points."""
        return Coordinates(self.choices[at], self.ordered[at], self.unread[at])


@dataclass(frozen=True)
class Hyper:
    """Logarithms of w, scale and noise, end to end, shape (D + 2,)."""

    values: Floats


def first_hyper(size: int) -> Hyper:
    """Return the mode of the prior for `size` variables, where fits begin."""
    return Hyper(np.concatenate((np.full(size, _mean_w(size)), [_MEAN_SCALE, _MEAN_NOISE])))


def _mean_w(size: int) -> float:
    return -2.0 * (math.sqrt(2.0) + 0.5 * math.log(max(size, 1)))


class Surrogate:
    """The posterior of the process, given losses of points.

    Args:
        points: Points with known losses.
        y: Their losses, transformed by `asng.optim.model.bent`, smaller is better, shape (n,).
        hyper: Hyper-parameters of the covariance.
    """

    def __init__(self, points: Coordinates, y: Floats, hyper: Hyper) -> None:
        self._points, self._hyper = points, hyper
        self._w = np.exp(hyper.values[:-2])
        self._scale = math.exp(hyper.values[-2])
        covariance = self._prior(points, points)
        covariance[np.diag_indices(len(y))] += math.exp(hyper.values[-1])
        self._inverse, _ = inverse(covariance)
        self._alpha = (self._inverse * y).sum(axis=1)

    def mean(self, points: Coordinates) -> Floats:
        """Return the predicted mean at points, shape (m,)."""
        covariance = self._prior(points, self._points)
        return np.asarray((covariance * self._alpha).sum(axis=1))

    def predicted(self, points: Coordinates) -> tuple[Floats, Floats, Floats, Floats]:
        """Return means and variances at points, shape (m,), then the covariance and solution for `shared`."""
        covariance = self._prior(points, self._points)
        solved = times(covariance, self._inverse)
        mean = (covariance * self._alpha).sum(axis=1)
        variance = self._scale - (covariance * solved).sum(axis=1)
        return mean, np.maximum(variance, 1e-9 * self._scale), covariance, solved

    def shared(self, points: Coordinates, solved: Floats, covariance: Floats, at: int) -> Floats:
        """Return the posterior covariance of each point with point number `at`, shape (m,)."""
        prior = self._prior(points, points.rows(slice(at, at + 1)))
        return np.asarray(prior[:, 0] - (solved * covariance[at]).sum(axis=1))

    def _prior(self, points: Coordinates, others: Coordinates) -> Floats:
        five = np.zeros((len(points.ordered), len(others.ordered)))
        for w, squares in zip((5.0 * self._w).tolist(), points.squares(others), strict=True):
            squares *= w
            five += squares
        return _matern(five, self._scale)[0]

    @property
    def noise(self) -> float:
        """Variance of a loss about the process."""
        return math.exp(self._hyper.values[-1])


def fitted(pairs: Floats, y: Floats, hyper: Hyper, steps: int) -> Hyper:
    """Increase the posterior of hyper-parameters, and return the best of some steps of resilient propagation.

    Each coordinate has its own step length, which grows while its slope keeps its sign and is halved if the
    sign changes. Every step helps, which suits fits that continue from the last one with a few points more.

    Args:
        pairs: Squared distances of all pairs by variable, as returned by `Coordinates.pairs`.
        y: Transformed losses, shape (n,).
        hyper: The hyper-parameters to begin with.
        steps: Number of steps.
    """
    size = len(pairs)
    low = np.concatenate((np.full(size, -_HIGHEST), [-_SCALE_MAX, _LOWEST_NOISE]))
    high = np.concatenate((np.full(size, _HIGHEST / 2), [_SCALE_MAX, 1.0]))
    values, length, before = hyper.values, np.full(size + 2, _FIRST_STEP), np.zeros(size + 2)
    best, least = values, math.inf
    for step in range(steps + 1):
        (found, slope), (prior, pull) = evidence(pairs, y, values), _prior(values)
        if found + prior < least:
            best, least = values, found + prior
        if step == steps:
            break
        slope = slope + pull
        turned = slope * before < 0.0
        length = np.clip(
            np.where(turned, 0.5 * length, np.where(slope * before > 0.0, 1.5 * length, length)), 1e-3, 1.5
        )
        before = np.where(turned, 0.0, slope)
        values = np.clip(values - np.sign(before) * length, low, high)
    return Hyper(best)


def surprise(pairs: Floats, y: Floats, hyper: Hyper) -> float:
    """Return the negative log posterior density of hyper-parameters, up to a constant."""
    return evidence(pairs, y, hyper.values)[0] + _prior(hyper.values)[0]


def _prior(values: Floats) -> tuple[float, Floats]:
    """Return the negative log prior, up to a constant, and its gradient."""
    own, rest = values[:-2], values[-2:]
    centre = own.mean()
    common = (centre - _mean_w(len(own))) / _SPREAD_W
    apart = (own - centre) / _SPREAD_APART
    off = (rest - [_MEAN_SCALE, _MEAN_NOISE]) / [_SPREAD_SCALE, _SPREAD_NOISE]
    value = 0.5 * (common * common + float((apart * apart).sum()) + float((off * off).sum()))
    pull = apart / _SPREAD_APART + common / (_SPREAD_W * len(own))
    return value, np.concatenate((pull, off / [_SPREAD_SCALE, _SPREAD_NOISE]))


def evidence(pairs: Floats, y: Floats, values: Floats) -> tuple[float, Floats]:
    """Return the negative log likelihood of y, up to a constant, and its gradient."""
    n, w, scale, noise = len(y), np.exp(values[:-2]), math.exp(values[-2]), math.exp(values[-1])
    covariance, slope = _matern(np.einsum("d,dk->k", 5.0 * w, pairs), scale)
    noisy, (low, high) = np.empty(n * n), _below(n)
    noisy[low] = noisy[high] = covariance
    noisy[:: n + 1] = scale + noise
    inverted, log_det = inverse(noisy.reshape(n, n))
    alpha = (inverted * y).sum(axis=1)
    value = 0.5 * float((y * alpha).sum()) + 0.5 * log_det
    # d(-log p) = 1/2 trace((K^-1 - alpha alpha^T) dK), Rasmussen and Williams (5.9)
    inverted -= alpha[:, None] * alpha
    by, diagonal = inverted.take(low), 0.5 * float(inverted.trace())
    gradient = np.empty_like(values)
    gradient[-2] = float((by * covariance).sum()) + scale * diagonal
    gradient[-1] = noise * diagonal
    gradient[:-2] = w * np.einsum("dk,k->d", pairs, by * slope)
    return value, gradient


@lru_cache(maxsize=8)
def _below(n: int) -> tuple[Ints, Ints]:
    """Return the flat indices of all pairs in an n x n matrix, below the diagonal and, mirrored, above it."""
    rows, columns = np.tril_indices(n, -1)
    return rows * n + columns, columns * n + rows


def _matern(five: Floats, scale: float) -> tuple[Floats, Floats]:
    """Return covariances and their derivatives with respect to r^2, given 5 r^2, which is overwritten."""
    root = np.sqrt(five)
    decay = np.exp(-root)
    decay *= scale
    root += 1.0
    five /= 3.0
    five += root
    five *= decay
    root *= -5.0 / 6.0
    root *= decay
    return five, root
