"""REINFORCE in the place of ASNG: gradient ascent of the expected reward in the logits of each choice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asng.distributions import Product, ThetaView
from asng.space import Architecture, Candidate, Space

__all__ = ["Reinforce"]

BASELINE_DECAY = 0.95


class Reinforce:
    """Ask and tell; Adam on the logits, a moving average of the losses as the baseline.

    Args:
        space: Choices only.
        learning_rate: Of Adam.
        lam: Samples an update.
        seed: Of the generator.

    References:
        Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
        Machine Learning 8, 1992. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing",
        ICML 2018 (baseline, Adam).
    """

    delta = gamma = 0.0

    def __init__(self, space: Space, *, learning_rate: float, lam: int = 2, seed: int = 0) -> None:
        self.space, self.lam, self.learning_rate = space, lam, learning_rate
        self._product = Product(space)
        self.n_theta = self._product.n_theta
        self.generation = 0
        self._rng = np.random.default_rng(seed)
        self._theta = self._product.initial()
        self._logits = np.zeros_like(self._theta.p)
        self._m, self._v = np.zeros_like(self._logits), np.zeros_like(self._logits)
        self._baseline: float | None = None

    @property
    def best(self) -> Architecture:
        return self.space.decode(self._product.mode(self._theta))

    @property
    def theta(self) -> ThetaView:
        return ThetaView(self._product, self._theta)

    @property
    def entropy(self) -> float:
        return self._product.entropy(self._theta)

    def ask(self, n: int | None = None) -> list[Candidate]:
        u = self._rng.random((self.lam if n is None else n, self._product.n_free))
        x = self._product.sample(self._theta, u)
        return [Candidate(self.space, row, generation=self.generation) for row in x]

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        told = np.asarray(losses, dtype=float)
        x = np.array([candidate.x for candidate in candidates])
        active = np.array([[c.active is None or name in c.active for name in self.space] for c in candidates])
        mean = float(np.mean(told))
        if self._baseline is None:
            self._baseline = mean
        advantage = told - self._baseline
        self._baseline = BASELINE_DECAY * self._baseline + (1 - BASELINE_DECAY) * mean
        # one_hot - p is the gradient of the log-likelihood in the logits.
        g = self._product.natural_gradient(self._theta, x, advantage, active.astype(float)).p
        self.generation += 1
        t = self.generation
        self._m = 0.9 * self._m + 0.1 * g
        self._v = 0.999 * self._v + 0.001 * g**2
        step = self._m / (1 - 0.9**t) / (np.sqrt(self._v / (1 - 0.999**t)) + 1e-8)
        self._logits = self._logits - self.learning_rate * step
        self._theta = self._theta._replace(p=self._softmax())

    def _softmax(self) -> np.ndarray:
        family = self._product.categoricals
        e = np.exp(self._logits - np.max(self._logits))
        return e / np.add.reduceat(e, family.starts)[family.segments.owner]

    def state_dict(self) -> dict[str, Any]:
        raise NotImplementedError("a benchmark writes no checkpoint")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError("a benchmark writes no checkpoint")
