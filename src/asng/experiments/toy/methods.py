"""ASNG, SNG and Adam over many independent runs at once, by the paper's rules and with lambda = 2.

Step for step they are `asng.optim`'s: see `asng.optim.step` for the symbols and the equations. What is
different is the shape: theta is (K, D, runs), every scalar of a run is one of (runs,), and theta is changed
in place.
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
    """Two samples of each run, and G.

    Attributes:
        c: Their choices, shape (2, D, runs).
        at: The `positions` of these.
        told: Whether their losses differ, so that something can be learnt, shape (runs,).
        w: G at the choice of the first sample, and -G at that of the second; 0 if both chose alike.
            Shape (D, runs).
        norm: Of G in the Fisher metric, shape (runs,).
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
        losses: Lower is better, shape (2, runs); those that are not finite rank worst, and equal.
    """
    first, second = np.where(np.isfinite(losses), losses, math.inf)
    u = (first < second).astype(np.float64) - (second < first)
    w = 0.5 * u * (c[0] != c[1])
    p = theta.reshape(-1)[at]
    # ||G||_F^2 = sum_k G_k^2 / theta_k.
    norm = np.sqrt(np.einsum("dr,dr,ldr->r", w, w, 1.0 / p))
    return Pair(c, at, u != 0.0, w, norm, p)


def project(theta: Floats, theta_min: float) -> None:
    """Clip theta from below and shrink what exceeds theta_min, in place; as `Categoricals.project`.

    Args:
        theta: Numbers, shape (K, D, runs).
        theta_min: Smallest probability, in (0, 1/K).
    """
    np.maximum(theta, theta_min, out=theta)
    total = theta.sum(axis=0)
    shrink = (total - 1.0) / (total - theta_min * len(theta))
    # theta - shrink (theta - theta_min), in two passes. Its sum is 1 up to rounding, which the next
    # projection takes out again; the library's divides by it.
    theta *= 1.0 - shrink
    theta += shrink * theta_min


class BatchedMethod(Protocol):
    """Learns from two losses a run.

    Attributes:
        theta: Probabilities, shape (K, D, runs); uniform at first.
    """

    theta: Floats

    def __init__(self, shape: tuple[int, int], delta_init: Floats, theta_min: float) -> None: ...

    def tell(self, c: Ints, at: Ints, losses: Floats) -> None:
        """Take one step.

        Args:
            c: Choices of two samples a run, shape (2, D, runs).
            at: Their `positions`.
            losses: Shape (2, runs), lower is better.
        """


class BatchedSNG:
    """`asng.SNG`: steps of constant length.

    Args:
        shape: K and D.
        delta_init: Length of the steps of each run, shape (runs,).
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
    """`asng.ASNG.paper`: steps of adapted length.

    Args:
        shape: K and D.
        delta_init: First step size of each run, shape (runs,).
        theta_min: Smallest probability.
    """

    def __init__(self, shape: tuple[int, int], delta_init: Floats, theta_min: float) -> None:
        self.theta = _uniform(shape, delta_init)
        self._delta_init, self._theta_min = delta_init, theta_min
        self._alpha, self._n_theta = Settings().alpha, (shape[0] - 1) * shape[1]
        # s has no entry for the last choice; here it has one, of 0, so that positions in theta fit it too.
        self._s = np.zeros_like(self.theta)
        self._gamma, self._Delta = np.zeros_like(delta_init), np.ones_like(delta_init)

    def tell(self, c: Ints, at: Ints, losses: Floats) -> None:
        """Take one step; see `BatchedMethod`."""
        pair = read_pair(self.theta, c, at, losses)
        norm = pair.norm + NORM_FLOOR
        delta = self._delta_init / self._Delta
        # beta = 0 leaves s, gamma and Delta of a run as they are: where the losses tie.
        beta = np.where(pair.told, np.minimum(delta / math.sqrt(self._n_theta), 1.0), 0.0)
        self._accumulate(pair, beta, np.sqrt(beta * (2.0 - beta)) / norm)
        self._gamma = (1.0 - beta) ** 2 * self._gamma + beta * (2.0 - beta)  # Algorithm 1, gamma
        length = np.einsum("kdr,kdr->r", self._s, self._s)
        self._Delta = self._Delta * np.exp(beta * (self._gamma - length / self._alpha))  # Algorithm 1, Delta
        _add(self.theta, pair, delta / norm * pair.w)  # Algorithm 1, theta
        project(self.theta, self._theta_min)

    def _accumulate(self, pair: Pair, beta: Floats, rate: Floats) -> None:
        """Do Algorithm 1, s: s = (1 - beta) s + rate F^(1/2) G, as `Categoricals.fisher_root` has it."""
        last, w, s = len(self.theta) - 1, pair.w, self._s
        p_last = self.theta[-1]
        G_last = w * (pair.c[0] == last) - w * (pair.c[1] == last)
        share = -rate * G_last / (p_last + np.sqrt(p_last))
        s *= 1.0 - beta
        # Few variables have a part of G at their last choice, and only these have this term.
        where = np.flatnonzero(share)
        by_column, theta = s.reshape(last + 1, -1), self.theta.reshape(last + 1, -1)
        by_column[:-1, where] += np.sqrt(theta[:-1, where]) * share.reshape(-1)[where]
        first, second = rate * w / np.sqrt(pair.p)
        flat = s.reshape(-1)
        flat[pair.at[0]] += first
        flat[pair.at[1]] -= second
        s[-1] = 0.0


class BatchedAdam:
    """`asng.optim.Adam`: Adam on G / ||G||_F.

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
        self._m *= np.where(pair.told, BETA_1, 1.0)  # where the losses tie, the moments stay
        self._v *= np.where(pair.told, BETA_2, 1.0)
        _add(self._m, pair, (1.0 - BETA_1) * g)
        # Where both samples chose alike g is 0, so that no entry is squared twice.
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
    """Add `change` at the choice of the first sample, and take it off at that of the second."""
    flat = values.reshape(-1)
    flat[pair.at[0]] += change
    flat[pair.at[1]] -= change
