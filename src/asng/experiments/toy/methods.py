"""ASNG, SNG and Adam for many independent runs at once, by the paper's rules and with lambda = 2.

Their steps are those of `asng.optim`; see `asng.optim.step` for the symbols and equations. Only the shapes
differ: theta is (K, D, runs), and every scalar of a run becomes an array (runs,). Theta is changed in place.
"""

import math
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asng.distributions import Floats, Ints
from asng.optim.baselines import BETA_1, BETA_2, EPSILON
from asng.optim.estimate import NORM_FLOOR
from asng.optim.step import Settings

__all__ = [
    "BatchedASNG",
    "BatchedAdam",
    "BatchedMethod",
    "BatchedSNG",
    "METHODS",
    "Bools",
    "Pair",
    "read_pair",
    "project",
]

Bools: TypeAlias = NDArray[np.bool_]


class Pair(NamedTuple):
    """Two samples of each run, and the natural gradient G that their losses give.

    Attributes:
        c: The choices of the samples, shape (2, D, runs).
        at: The `positions` of the choices.
        told: Whether the two losses differ, so that there is something to learn, shape (runs,).
        w: G at the choice of the first sample, and -G at that of the second; 0 if both choices are equal.
            Shape (D, runs).
        norm: Norm of G in the Fisher metric, shape (runs,).
        p: theta at the choices, shape (2, D, runs).
    """

    c: Ints
    at: Ints
    told: Bools
    w: Floats
    norm: Floats
    p: Floats


def read_pair(theta: Floats, c: Ints, at: Ints, losses: Floats) -> Pair:
    """Return the natural gradient that two losses give.

    Args:
        theta: Probabilities, shape (K, D, runs).
        c: Choices of both samples, shape (2, D, runs).
        at: Their positions in theta.
        losses: Losses, lower is better, shape (2, runs); non-finite ones rank worst and tie.
    """
    first, second = np.where(np.isfinite(losses), losses, math.inf)
    u = (first < second).astype(np.float64) - (second < first)
    w = 0.5 * u * (c[0] != c[1])
    p = theta.reshape(-1)[at]
    # ||G||_F^2 = sum_k G_k^2 / theta_k.
    norm = np.sqrt(np.einsum("dr,dr,ldr->r", w, w, 1.0 / p))
    return Pair(c, at, u != 0.0, w, norm, p)


def project(theta: Floats, theta_min: float) -> None:
    """Clip theta from below and shrink what exceeds theta_min, in place, as `Categoricals.project` does.

    Args:
        theta: Values, shape (K, D, runs).
        theta_min: Smallest probability, in (0, 1/K).
    """
    np.maximum(theta, theta_min, out=theta)
    total = theta.sum(axis=0)
    shrink = (total - 1.0) / (total - theta_min * len(theta))
    # theta - shrink (theta - theta_min), in two passes. Its sum is 1 up to rounding errors, which the next
    # projection removes; `Categoricals.project` divides by the sum instead.
    theta *= 1.0 - shrink
    theta += shrink * theta_min


class BatchedMethod(Protocol):
    """A method that learns from two losses per run and step.

    Attributes:
        theta: Probabilities, shape (K, D, runs); uniform at first.
    """

    theta: Floats

    def __init__(self, shape: tuple[int, int], delta_init: Floats, theta_min: float) -> None: ...

    def tell(self, c: Ints, at: Ints, losses: Floats) -> None:
        """Take one step.

        Args:
            c: Choices of two samples per run, shape (2, D, runs).
            at: Their `positions`.
            losses: Their losses, lower is better, shape (2, runs).
        """


class BatchedSNG:
    """`asng.SNG`, with steps of constant length.

    Args:
        shape: K and D.
        delta_init: Step length of each run, shape (runs,).
        theta_min: Smallest probability.
    """

    def __init__(self, shape: tuple[int, int], delta_init: Floats, theta_min: float) -> None:
        self.theta = _uniform(shape, delta_init)
        self._delta, self._theta_min = delta_init, theta_min

    def tell(self, c: Ints, at: Ints, losses: Floats) -> None:
        """Take one step; see `BatchedMethod`."""
        pair = read_pair(self.theta, c, at, losses)
        _add(self.theta, pair, self._delta / (pair.norm + NORM_FLOOR) * pair.w)
        project(self.theta, self._theta_min)


class BatchedASNG:
    """`asng.ASNG.paper`, with steps of adaptive length.

    Args:
        shape: K and D.
        delta_init: Initial step size of each run, shape (runs,).
        theta_min: Smallest probability.
    """

    def __init__(self, shape: tuple[int, int], delta_init: Floats, theta_min: float) -> None:
        self.theta = _uniform(shape, delta_init)
        self._delta_init, self._theta_min = delta_init, theta_min
        self._alpha, self._n_theta = Settings().alpha, (shape[0] - 1) * shape[1]
        # s has no entry for the last choice. Here it has one, always 0, so that positions in theta fit s too.
        self._s = np.zeros_like(self.theta)
        self._gamma, self._Delta = np.zeros_like(delta_init), np.ones_like(delta_init)

    def tell(self, c: Ints, at: Ints, losses: Floats) -> None:
        """Take one step; see `BatchedMethod`."""
        pair = read_pair(self.theta, c, at, losses)
        norm = pair.norm + NORM_FLOOR
        delta = self._delta_init / self._Delta
        # If the losses tie, beta = 0 leaves s, gamma and Delta of a run unchanged.
        beta = np.where(pair.told, np.minimum(delta / math.sqrt(self._n_theta), 1.0), 0.0)
        self._accumulate(pair, beta, np.sqrt(beta * (2.0 - beta)) / norm)
        self._gamma = (1.0 - beta) ** 2 * self._gamma + beta * (2.0 - beta)  # Algorithm 1, gamma
        length = np.einsum("kdr,kdr->r", self._s, self._s)
        self._Delta = self._Delta * np.exp(beta * (self._gamma - length / self._alpha))  # Algorithm 1, Delta
        _add(self.theta, pair, delta / norm * pair.w)  # Algorithm 1, theta
        project(self.theta, self._theta_min)

    def _accumulate(self, pair: Pair, beta: Floats, rate: Floats) -> None:
        """Update s by Algorithm 1: s = (1 - beta) s + rate F^(1/2) G, as in `Categoricals.fisher_root`."""
        last, w, s = len(self.theta) - 1, pair.w, self._s
        p_last = self.theta[-1]
        G_last = w * (pair.c[0] == last) - w * (pair.c[1] == last)
        share = -rate * G_last / (p_last + np.sqrt(p_last))
        s *= 1.0 - beta
        # Only variables with a part of G at their last choice have this term, and these are few.
        where = np.flatnonzero(share)
        by_column, theta = s.reshape(last + 1, -1), self.theta.reshape(last + 1, -1)
        by_column[:-1, where] += np.sqrt(theta[:-1, where]) * share.reshape(-1)[where]
        first, second = rate * w / np.sqrt(pair.p)
        flat = s.reshape(-1)
        flat[pair.at[0]] += first
        flat[pair.at[1]] -= second
        s[-1] = 0.0


class BatchedAdam:
    """`asng.optim.Adam`, on G / ||G||_F.

    Args:
        shape: K and D.
        delta_init: Learning rate of each run, shape (runs,).
        theta_min: Smallest probability.
    """

    def __init__(self, shape: tuple[int, int], delta_init: Floats, theta_min: float) -> None:
        self.theta = _uniform(shape, delta_init)
        self._rate, self._theta_min = delta_init, theta_min
        self._m, self._v, self._t = np.zeros_like(self.theta), np.zeros_like(self.theta), 0

    def tell(self, c: Ints, at: Ints, losses: Floats) -> None:
        """Take one step; see `BatchedMethod`."""
        pair = read_pair(self.theta, c, at, losses)
        self._t += 1
        g = pair.w / (pair.norm + NORM_FLOOR)
        self._m *= np.where(pair.told, BETA_1, 1.0)  # if the losses tie, the moments do not change
        self._v *= np.where(pair.told, BETA_2, 1.0)
        _add(self._m, pair, (1.0 - BETA_1) * g)
        # If both samples made the same choice, g is 0, so that no entry is squared twice.
        flat = self._v.reshape(-1)
        for places in pair.at:
            flat[places] += (1.0 - BETA_2) * (g * g)
        divisor = np.sqrt(self._v)
        divisor *= 1.0 / math.sqrt(1.0 - BETA_2**self._t)
        divisor += EPSILON
        change = np.divide(self._m, divisor, out=divisor)
        change *= np.where(pair.told, self._rate, 0.0) / (1.0 - BETA_1**self._t)
        self.theta += change
        project(self.theta, self._theta_min)


METHODS: dict[str, type[BatchedMethod]] = {"ASNG": BatchedASNG, "SNG": BatchedSNG, "Adam": BatchedAdam}


def _uniform(shape: tuple[int, int], delta_init: Floats) -> Floats:
    return np.full((*shape, len(delta_init)), 1.0 / shape[0])


def _add(values: Floats, pair: Pair, change: Floats) -> None:
    """Add `change` at the choice of the first sample, and subtract it at that of the second."""
    flat = values.reshape(-1)
    flat[pair.at[0]] += change
    flat[pair.at[1]] -= change
