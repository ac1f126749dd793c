"""ASNG, SNG and Adam over many independent runs at once, by the paper's rules and with lambda = 2.

Step for step they are `asng.optim`'s: see `asng.optim.step` for the symbols and the equations. What is
different is the shape: theta is (K, D, runs), every scalar of a run is one of (runs,), and theta is changed
in place.
"""

import math
from typing import Protocol

import numpy as np

from asng.distributions import Floats, Ints
from asng.optim.adam import BETA_1, BETA_2, EPSILON
from asng.optim.estimate import NORM_FLOOR
from asng.optim.step import Settings
from asng.tasks.toy.pair import Pair, project, read_pair

__all__ = ["BatchedASNG", "BatchedAdam", "BatchedMethod", "BatchedSNG", "METHODS"]


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
