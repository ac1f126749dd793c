"""REINFORCE instead of ASNG: gradient ascent of the expected reward in the logits of each choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asng.distributions import Product, Theta
from asng.optim import Optimizer, Told
from asng.space import Space

__all__ = ["Reinforce"]

BASELINE_DECAY = 0.95


@dataclass(frozen=True)
class _Logits:
    theta: Theta
    logits: np.ndarray
    m: np.ndarray
    v: np.ndarray
    baseline: float | None = None
    t: int = 0


class Reinforce(Optimizer):
    """An ask-and-tell optimiser: Adam on the logits, with a moving average of the losses as the baseline.

    Args:
        space: Choices only.
        learning_rate: Learning rate of Adam.
        lam: Samples in an update.
        seed: Seed of the generator.

    References:
        Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
        Machine Learning 8, 1992. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing",
        ICML 2018 (baseline, Adam).
    """

    def __init__(self, space: Space, *, learning_rate: float, lam: int = 2, seed: int = 0) -> None:
        super().__init__(Product(space), lam=lam, seed=seed)
        self.learning_rate = learning_rate
        theta = self._product.initial()
        zero = np.zeros_like(theta.p)
        self._state = _Logits(theta, zero, zero, zero)

    def _update(self, told: Told) -> _Logits:
        state, mean, t = self._state, float(np.mean(told.losses)), self._state.t + 1
        baseline = mean if state.baseline is None else state.baseline
        advantage = (told.losses - baseline) / len(told.losses)
        baseline = BASELINE_DECAY * baseline + (1 - BASELINE_DECAY) * mean
        # one_hot - p is the gradient of the log-likelihood with respect to the logits.
        g = self._product.natural_gradient(state.theta, told.x, advantage * len(told.losses), told.active).p
        m, v = 0.9 * state.m + 0.1 * g, 0.999 * state.v + 0.001 * g**2
        step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        logits = state.logits - self.learning_rate * step
        theta = state.theta._replace(p=self._softmax(logits))
        return _Logits(theta, logits, m, v, baseline, t)

    def _softmax(self, logits: np.ndarray) -> np.ndarray:
        family = self._product.categoricals
        e = np.exp(logits - np.max(logits))
        return e / np.add.reduceat(e, family.starts)[family.segments.owner]

    def _pack(self) -> dict[str, Any]:
        raise NotImplementedError("a benchmark writes no checkpoint")

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> _Logits:
        raise NotImplementedError("a benchmark writes no checkpoint")
