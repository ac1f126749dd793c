"""A Gaussian process over choices that proposes which network to train alone next."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm

import asng

__all__ = ["Posterior", "improvements", "proposed"]

LENGTHS, NOISES = (1.0, 2.0, 4.0, 8.0), (0.05, 0.2, 0.5)
"""Candidate length scales of the kernel, in choices that differ, and candidate noise variances of a training
alone, if the variance of networks is 1. The likeliest pair is used."""
SHARED = 0.5
"""Variance that the shared score explains, if there is one."""


class Posterior:
    """The posterior of networks' losses after some were trained alone.

    The covariance of two networks is exp(-d / length), with d the number of choices in which they differ. If
    there are shared scores, SHARED times the product of those of both is added.

    Args:
        networks: The networks that were trained.
        losses: Their losses.
        shared: Returns the standardised shared scores of networks, shape (n,), or None for none.
    """

    def __init__(
        self,
        networks: Sequence[asng.Architecture],
        losses: Sequence[float],
        shared: Callable[[Sequence[asng.Architecture]], np.ndarray] | None = None,
    ) -> None:
        self.networks, self.shared = list(networks), shared
        self.mean, self.scale = float(np.mean(losses)), float(np.std(losses)) or 1.0
        self.y = (np.asarray(losses) - self.mean) / self.scale
        pairs = [(length, noise) for length in LENGTHS for noise in NOISES]
        self.length, self.noise = max(pairs, key=lambda pair: self._evidence(*pair))
        self._factor = np.linalg.cholesky(self._noisy(self.length, self.noise))

    def of(self, networks: Sequence[asng.Architecture]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the losses of networks, each of shape (n,)."""
        solved = np.linalg.solve(self._factor, self._kernel(self.networks, networks, self.length))
        mean = solved.T @ np.linalg.solve(self._factor, self.y)
        own = 1.0 if self.shared is None else 1.0 + SHARED * self.shared(networks) ** 2
        std = np.sqrt(np.maximum(own - (solved**2).sum(axis=0), 1e-9))
        return self.mean + self.scale * mean, self.scale * std

    def _kernel(
        self, some: Sequence[asng.Architecture], others: Sequence[asng.Architecture], length: float
    ) -> np.ndarray:
        values, of_others = (
            np.array([[str(v) for v in n.values()] for n in networks]) for networks in (some, others)
        )
        kernel = np.exp(-(values[:, None] != of_others[None]).sum(axis=2) / length)
        if self.shared is not None:
            kernel = kernel + SHARED * np.outer(self.shared(some), self.shared(others))
        return kernel

    def _noisy(self, length: float, noise: float) -> np.ndarray:
        return self._kernel(self.networks, self.networks, length) + noise * np.eye(len(self.networks))

    def _evidence(self, length: float, noise: float) -> float:
        factor = np.linalg.cholesky(self._noisy(length, noise))
        return float(-0.5 * (np.linalg.solve(factor, self.y) ** 2).sum() - np.log(np.diag(factor)).sum())


def improvements(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Return the expected improvement over the least loss, shape (n,).

    References:
        Jones, Schonlau, Welch, "Efficient Global Optimization of Expensive Black-Box Functions", Journal of
        Global Optimization 13, 1998, equation 15.
    """
    z = (best - mean) / std
    return std * (z * norm.cdf(z) + norm.pdf(z))


def proposed(
    first: Sequence[asng.Architecture],
    pool: Sequence[asng.Architecture],
    count: int,
    train: Callable[[asng.Architecture], float],
    shared: Callable[[Sequence[asng.Architecture]], np.ndarray] | None = None,
) -> asng.Architecture:
    """Train some networks, then the most promising of a pool one at a time, and return the best of all.

    Args:
        first: The networks that are trained first.
        pool: Candidates for the others.
        count: How many are trained in all.
        train: Trains a network alone and returns its loss.
        shared: As in `Posterior`.
    """
    losses = {network: train(network) for network in first}
    while len(losses) < count:
        rest = [network for network in pool if network not in losses]
        if not rest:
            break
        known = Posterior(list(losses), list(losses.values()), shared)
        gains = improvements(*known.of(rest), min(losses.values()))
        network = rest[int(gains.argmax())]
        losses[network] = train(network)
    return min(losses, key=losses.__getitem__)
