r"""A Gaussian over reals that interact, with a covariance and separate rates for mean, length and shape.

With the single adaptive rate for mean and spread, the spread of reals vanishes long before they reach the
optimum. Here the mean takes the whole step that the samples recommend, and the length of steps follows a path
of past ones. The rates of the shape depend only on the numbers of variables and samples. Samples are
``x = m + sigma d * (R z)``, z standard normal.

| name    | paper   | shape  | meaning                                                     | first value |
| ------- | ------- | ------ | ----------------------------------------------------------- | ----------- |
| m       | m       | (D,)   | mean                                                        | middle      |
| sigma   | sigma   | ()     | length of steps                                             | 1           |
| d       | D       | (D,)   | scale of each variable                                      | 0.29 ranges |
| C       | C       | (D, D) | covariance in units of d, of diagonal about 1               | identity    |
| R       | sqrt C  | (D, D) | symmetric root of C                                         | identity    |
| p_sigma | p_sigma | (D,)   | path of the mean, in standard normal coordinates            | 0           |
| p_c     | p_c     | (D,)   | path of the mean in units of d, at the rate of C            | 0           |
| p_d     | p_c,D   | (D,)   | the same at the rate of d                                   | 0           |
| w       | w       | (lam,) | weights by rank: positive for the better half, else <= 0    |             |
| damped  | beta    | ()     | damping of d, if C shows that variables interact            | 1           |

d learns D numbers and is fast; C learns D (D - 1) / 2, is slow, and its noise costs. So both are kept. If
nothing interacts, C stays near the identity and d does all the work. If C has found that variables interact,
d is damped, because it would undo C. With more than 64 variables there is only d: memory stays linear, and no
product is large enough for a BLAS to divide it among threads.

References:
    Akimoto and Hansen, "Diagonal acceleration for covariance matrix adaptation evolution strategies",
    Evolutionary Computation 28, 2020, Algorithm 1. Hansen, "The CMA evolution strategy: a tutorial", arXiv
    1604.00772, 2016. Hamano, Saito, Nomura, Uchida, Shirakawa, "CatCMA: stochastic optimization for
    mixed-category problems", GECCO 2024.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asng.distributions import Floats
from asng.optim.linear import times
from asng.optim.ranking import by_rank

Flags: TypeAlias = NDArray[np.bool_]

__all__ = ["MOST_FULL", "Bounds", "Covariance", "default_lam", "first_covariance", "moved"]

MOST_FULL = 64
"""Most variables for which C is kept."""

_HELD = 2.0
"""Condition number of the root of C up to which d is not damped (beta_thresh)."""

_X_MAX = float(np.finfo(np.float64).max)
"""Bound on draws, which keeps them finite if the bounds of a variable are near the largest float."""

_Z_MAX = 1e6


@dataclass(frozen=True)
class Covariance:
    """The distribution of the reals, and its paths. See the table at the top of this file.

    Attributes:
        mean: m.
        sigma: Length of steps, > 0.
        d: Scales, > 0.
        C: Covariance in units of d; None if only d is kept.
        p_sigma: A path.
        p_c: A path.
        p_d: A path.
        updates: Number of updates so far.
        root: Symmetric root of the C of the last decomposition.
        unroot: Its inverse.
        damped: beta, >= 1.
    """

    mean: Floats
    sigma: float
    d: Floats
    C: Floats | None
    p_sigma: Floats
    p_c: Floats
    p_d: Floats
    updates: int = 0
    root: Floats | None = None
    unroot: Floats | None = None
    damped: float = 1.0

    @property
    def std(self) -> Floats:
        """Standard deviations, shape (D,)."""
        own = 1.0 if self.C is None else np.sqrt(self.C.diagonal())
        return np.asarray(self.sigma * self.d * own)

    def draw(self, z: Floats) -> Floats:
        """Map standard normal numbers of shape (n, D) to raw draws."""
        y = z if self.root is None else times(z, self.root)
        with np.errstate(over="ignore"):
            x = self.mean + (self.sigma * self.d) * y
        return np.asarray(np.clip(x, -_X_MAX, _X_MAX))

    def standardised(self, x: Floats) -> Floats:
        """Map raw draws back to standard normal numbers."""
        with np.errstate(over="ignore"):
            y = np.clip((x - self.mean) / (self.sigma * self.d), -_Z_MAX, _Z_MAX)
        return y if self.unroot is None else times(y, self.unroot)


def first_covariance(mean: Floats, std: Floats) -> Covariance:
    """Return the distribution of independent reals."""
    size, zero = len(mean), np.zeros(len(mean))
    full = np.eye(size) if 1 < size <= MOST_FULL else None
    return Covariance(mean, 1.0, std, full, zero, zero, zero, 0, full, full)


def default_lam(size: int) -> int:
    """Return the usual number of samples per update for `size` reals, 4 + 3 log D (Hansen, 2016, Table 1)."""
    return 4 + int(3.0 * math.log(max(size, 1)))


class Rates(NamedTuple):
    """The constants set by the numbers of variables and samples: Akimoto and Hansen, Section 5.2."""

    w: Floats
    w_c: Floats
    w_d: Floats
    mu: float
    c_sigma: float
    damping: float
    c_1: float
    c_mu: float
    c_c: float
    d_1: float
    d_mu: float
    d_c: float
    expected: float


@lru_cache(maxsize=64)
def _rates(size: int, lam: int) -> Rates:
    raw = math.log((lam + 1) / 2.0) - np.log(np.arange(1, lam + 1))
    better, worse = np.maximum(raw, 0.0), np.maximum(-raw, 0.0)
    mu = float(better.sum() ** 2 / (better**2).sum())
    mu_worse = float(worse.sum() ** 2 / (worse**2).sum())
    w = better / better.sum()
    worse = worse / worse.sum()

    def shape(numbers: float) -> tuple[float, float, float, Floats]:
        one = 1.0 / (2.0 * (numbers / size + 1.0) * (size + 1.0) ** 0.75 + mu / 2.0)
        many = min((mu + 1.0 / mu - 2.0 + 0.5 * lam / (lam + 5.0)) * one, 1.0 - one)
        against = min(1.0 + one / many, 1.0 + 2.0 * mu_worse / (mu + 2.0))
        return one, many, math.sqrt(mu * one) / 2.0, w - against * worse

    c_1, c_mu, c_c, w_c = shape(size * (size + 1) / 2.0)
    d_1, d_mu, d_c, w_d = shape(size)
    c_sigma = (mu + 2.0) / (size + mu + 5.0)
    damping = 1.0 + c_sigma + 2.0 * max(0.0, math.sqrt((mu - 1.0) / (size + 1.0)) - 1.0)
    expected = _expected(size)
    return Rates(w, w_c, w_d, mu, c_sigma, damping, c_1, c_mu, c_c, d_1, d_mu, d_c, expected)


def _expected(size: int) -> float:
    """Return about the expected length of `size` standard normal numbers."""
    return math.sqrt(size) * (1.0 - 1.0 / (4.0 * size) + 1.0 / (21.0 * size * size))


@dataclass(frozen=True)
class Bounds:
    """The bounds of means and standard deviations, each of shape (D,)."""

    low: Floats
    high: Floats
    std_min: Floats
    std_max: Floats


def moved(
    state: Covariance, x: Floats, losses: Floats, bounds: Bounds, active: Floats | None = None
) -> Covariance:
    """Return the distribution after an update with samples and their losses.

    Equal losses share their weights. Variables that a sample did not read are left out of the step of the
    mean and of the shape. Without a signal, the path of a variable is equally long whether few or all samples
    read it, and neither grows nor shrinks its spread. A variable that none of the better samples read waits.
    A draw beyond a bound counts as the point at the bound, which was evaluated in its place. All such
    draws have the same loss: unclipped, they would move the mean outwards and increase the spread
    wherever the bound is better than most of the inside.

    Args:
        state: The distribution before.
        x: Raw draws, neither clipped nor rounded, shape (lam, D), lam >= 2.
        losses: Their losses, smaller is better.
        bounds: Bounds of means and standard deviations.
        active: 1 if a sample read a variable, else 0, shape (lam, D). Default: all 1.
    """
    rates = _rates(len(state.mean), len(x))
    w, w_c, w_d = (by_rank(losses, values.tolist()) for values in (rates.w, rates.w_c, rates.w_d))
    if w.max() == w.min():
        return state  # all losses are equal
    t, unread, x = state.updates + 1, None, x.clip(bounds.low, bounds.high)
    if active is not None and not active.all():
        unread = np.where(active > 0.0, 0.0, 1.0)  # a late sample counts as any other, see `joint.weighed`
        x = np.where(active > 0.0, x, state.mean)
    z = state.standardised(x)
    step, seen, expected = (w[:, None] * z).sum(axis=0), None, rates.expected
    mean = state.draw(step[None])[0]
    if unread is not None:
        share = _share(w, unread)
        seen = share > 0.0
        if not seen.any():
            return state  # none of the better samples read a real
        z, unread = np.where(seen, z, 0.0), np.where(seen, unread, 1.0)
        step, expected = step / np.where(seen, share, 1.0), _expected(int(seen.sum()))
    p_sigma = _waiting(state.p_sigma, _onward(state.p_sigma, step, rates.c_sigma, rates.mu), seen)
    path = p_sigma if seen is None else p_sigma[seen]
    length = math.sqrt(float((path * path).sum()))
    gain = 1.0 - (1.0 - rates.c_sigma) ** (2 * t)
    steady = length / math.sqrt(gain) < (1.4 + 2.0 / (len(path) + 1.0)) * expected
    sigma = state.sigma * math.exp(min(1.0, rates.c_sigma / rates.damping * (length / expected - 1.0)))
    state = _shaped(state, z, step if steady else 0.0 * step, (w_c, w_d), rates, unread, seen)
    if seen is not None:  # the common length says nothing about variables that wait
        state = replace(state, d=np.where(seen, state.d, state.d * (state.sigma / sigma)))
    mean = np.clip(mean, bounds.low, bounds.high)
    state = replace(state, mean=mean, sigma=sigma, p_sigma=p_sigma, updates=t)
    return _bounded(_decomposed(state, rates), bounds)


def _share(w: Floats, unread: Floats) -> Floats:
    """Return by which factor unread samples shorten a random step of the mean, per variable, in [0, 1]."""
    squares = np.maximum(w, 0.0) ** 2
    return np.asarray(np.sqrt((squares[:, None] * (1.0 - unread)).sum(axis=0) / squares.sum()))


def _onward(path: Floats, step: Floats, rate: float, mu: float) -> Floats:
    return np.asarray((1.0 - rate) * path + math.sqrt(rate * (2.0 - rate) * mu) * step)


def _waiting(path: Floats, after: Floats, seen: Flags | None) -> Floats:
    """Return the path after a step; as it was for variables that none of the better samples read."""
    return after if seen is None else np.where(seen, after, path)


def _shaped(
    state: Covariance,
    z: Floats,
    step: Floats,
    weights: tuple[Floats, Floats],
    rates: Rates,
    unread: Floats | None,
    seen: Flags | None,
) -> Covariance:
    """Return the state with C and d changed; Akimoto and Hansen, Algorithm 1, lines 6 to 12."""
    (w_c, w_d), size = weights, z.shape[1]
    squares = z * z if unread is None else z * z + unread  # 1 is neutral
    shorter = size / np.maximum(squares.sum(axis=1), 1e-12)
    w_d = np.where(w_d < 0.0, w_d * shorter, w_d)
    if state.C is None or state.root is None:
        p_d = _waiting(state.p_d, _onward(state.p_d, step, rates.d_c, rates.mu), seen)
        own = _waiting(np.zeros(1), p_d * p_d - 1.0, seen)
        change = rates.d_1 * own + rates.d_mu * (w_d[:, None] * (squares - 1.0)).sum(axis=0)
        return replace(state, d=state.d * np.exp(0.5 * np.clip(change, -1.0, 1.0)), p_d=p_d)
    w_c = np.where(w_c < 0.0, w_c * shorter, w_c)
    # Paths are kept in units of d; the root of C is divided out where they are compared with z.
    y = times(step[None], state.root)[0]
    p_c = _waiting(state.p_c, _onward(state.p_c, y, rates.c_c, rates.mu), seen)
    p_d = _waiting(state.p_d, _onward(state.p_d, y, rates.d_c, rates.mu), seen)
    plain_c, plain_d = times(np.stack((p_c, p_d)), state.unroot if state.unroot is not None else state.root)
    own = _waiting(np.zeros(1), plain_d * plain_d - 1.0, seen)
    change = rates.d_1 * own + rates.d_mu * (w_d[:, None] * (squares - 1.0)).sum(axis=0)
    inner = rates.c_1 * plain_c[:, None] * plain_c + rates.c_mu * times(z.T, w_c[:, None] * z)
    inner[np.diag_indices(size)] -= rates.c_1 + rates.c_mu * float(w_c.sum())
    if unread is not None:
        neutral = rates.c_1 * _waiting(1.0 - plain_c * plain_c, np.zeros(1), seen)
        inner[np.diag_indices(size)] += neutral + rates.c_mu * (w_c[:, None] * unread).sum(axis=0)
    C = state.C + times(times(state.root, inner), state.root)
    d = state.d * np.exp(0.5 * np.clip(change / state.damped, -1.0, 1.0))
    ratio = state.d / d
    return replace(state, C=0.5 * (C + C.T), d=d, p_c=p_c * ratio, p_d=p_d * ratio)


def _decomposed(state: Covariance, rates: Rates) -> Covariance:
    """Return the state with the diagonal of C set to 1, and with new roots, if these are due."""
    if state.C is None:
        return state
    every = max(1, int(1.0 / ((rates.c_1 + rates.c_mu) * 10.0 * len(state.mean))))
    if state.updates % every:
        return state
    own = np.sqrt(np.maximum(state.C.diagonal(), 1e-12))
    C = state.C / (own[:, None] * own)
    values, vectors = np.linalg.eigh(C)
    if values[0] <= 1e-14 * values[-1]:
        C = C + np.eye(len(own)) * (1e-14 * values[-1] - values[0] if values[0] < 0.0 else 1e-14 * values[-1])
        values, vectors = np.linalg.eigh(C)
    roots = np.sqrt(np.maximum(values, 1e-16))
    return replace(
        state,
        C=C,
        d=state.d * own,
        p_c=state.p_c / own,
        p_d=state.p_d / own,
        root=times(vectors * roots, vectors.T),
        unroot=times(vectors / roots, vectors.T),
        damped=max(1.0, float(roots[-1] / roots[0]) - _HELD + 1.0),
    )


def _bounded(state: Covariance, bounds: Bounds) -> Covariance:
    std = state.std
    sigma = state.sigma * min(1.0, float((bounds.std_max / std).max()))
    std = std * (sigma / state.sigma)
    d = state.d * (np.clip(std, bounds.std_min, bounds.std_max) / std)
    if not 1e-100 < sigma < 1e100:  # a length that only shrinks would reach 0 in the end
        sigma, d = 1.0, d * sigma
    return replace(state, sigma=sigma, d=d)
