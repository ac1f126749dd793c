"""Baselines for ASNG: steps of constant length (SNG), Adam, and uniform random search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asng.checks import real_between
from asng.distributions import Floats, Product, Tangent, Theta
from asng.errors import RunError
from asng.optim.ask_tell import Optimizer, Told
from asng.optim.estimate import gradient
from asng.optim.saving import array, get, number, whole
from asng.space import Space

__all__ = ["SNG", "Adam", "RandomSearch"]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's decay of the first and of the second moment, and floor of its divisor; the usual values."""


@dataclass(frozen=True)
class _Place:
    """The state of SNG."""

    theta: Theta


class SNG(Optimizer):
    """Stochastic natural gradient: theta += delta G / ||G||_F.

    A baseline: natural gradient steps of constant length, without the adaptation of ASNG.

    Args:
        space: The search space.
        lam: Samples per update, at least 2.
        seed: Seed of the generator, >= 0.
        delta_init: Length of every step in the Fisher metric, > 0.
        sampling: "independent", as the authors draw, or "stratified".

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Categorical
        >>> opt = SNG(Space({"op": Categorical(["a", "b"])}), delta_init=0.1)
        >>> opt.delta
        0.1

    References:
        Akimoto et al., ICML 2019, Section 5 (SNG).
    """

    _state: _Place

    def __init__(
        self,
        space: Space,
        *,
        lam: int = 2,
        seed: int = 0,
        delta_init: float = 1.0,
        sampling: Literal["independent", "stratified"] = "independent",
    ) -> None:
        super().__init__(Product(space), lam=lam, seed=seed, sampling=sampling)
        self._delta = real_between("delta_init", delta_init, 0.0, 1e6, open_low=True)
        self._fixed["delta_init"] = self._delta
        self._state = _Place(self._product.initial())

    @property
    def delta(self) -> float:
        """Length of every step in the Fisher metric."""
        return self._delta

    def _update(self, told: Told) -> _Place:
        theta = self._state.theta
        found = gradient(self._product, theta, told.x, told.losses, told.active)
        return (
            self._state
            if found is None
            else _Place(self._product.move(theta, found.G, self.delta / found.norm))
        )

    def _pack(self) -> dict[str, Any]:
        return {}

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> _Place:
        return _Place(theta)


@dataclass(frozen=True)
class _Moments:
    """The state of Adam: the moments of G / ||G||_F, and the number of updates so far."""

    theta: Theta
    m: Floats
    v: Floats
    t: int = 0


class Adam(Optimizer):
    """Adam on G / ||G||_F, the baseline of the paper's authors.

    Every probability moves by about `learning_rate` per update; so does every mean, in units of half its
    range, and every log(std).

    A variable that no sample of an update read stays as it is, and so do its moments, as in PyTorch's
    SparseAdam: momentum would move it without any evidence.

    Differs: the authors' Adam supports categoricals only.

    Args:
        space: The search space.
        lam: Samples per update, at least 2.
        seed: Seed of the generator, >= 0.
        learning_rate: Step size of Adam, > 0.
        sampling: "independent", as the authors draw, or "stratified".

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Categorical
        >>> opt = Adam(Space({"op": Categorical(["a", "b"])}))
        >>> opt.delta
        0.01

    References:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1. Akimoto et al.,
        ICML 2019, Section 5 (Adam).
    """

    _state: _Moments

    def __init__(
        self,
        space: Space,
        *,
        lam: int = 2,
        seed: int = 0,
        learning_rate: float = 0.01,
        sampling: Literal["independent", "stratified"] = "independent",
    ) -> None:
        super().__init__(Product(space), lam=lam, seed=seed, sampling=sampling)
        self._delta = real_between("learning_rate", learning_rate, 0.0, 1e6, open_low=True)
        self._fixed["learning_rate"] = self._delta
        theta = self._product.initial()
        zero = np.zeros(sum(len(part) for part in theta))
        self._state = _Moments(theta, zero, zero)

    @property
    def delta(self) -> float:
        """Step size of Adam, the learning rate."""
        return self._delta

    def _update(self, told: Told) -> _Moments:
        theta, m, v, t = self._state.theta, self._state.m, self._state.v, self._state.t + 1
        found = gradient(self._product, theta, told.x, told.losses, told.active)
        if found is None:
            return _Moments(theta, m, v, t)
        g, read = self._coordinates(found.G) / found.norm, self._read(told.active)
        m = np.where(read, BETA_1 * m + (1.0 - BETA_1) * g, m)
        v = np.where(read, BETA_2 * v + (1.0 - BETA_2) * g**2, v)
        m_hat, v_hat = m / (1.0 - BETA_1**t), v / (1.0 - BETA_2**t)
        change = np.where(read, self.delta * m_hat / (np.sqrt(v_hat) + EPSILON), 0.0)
        return _Moments(self._moved(change), m, v, t)

    def _pack(self) -> dict[str, Any]:
        return {"m": self._state.m.tolist(), "v": self._state.v.tolist(), "t": self._state.t}

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> _Moments:
        m, v = (array(state, key, len(self._state.m)) for key in ("m", "v"))
        return _Moments(theta, m, np.abs(v), whole(state, "t"))

    def _coordinates(self, G: Tangent) -> Floats:
        """Return G as one vector: probabilities, means over half their range, log(std)."""
        return np.concatenate((G.p, self._scale() * G.g1, 0.5 * G.g2))

    def _moved(self, change: Floats) -> Theta:
        """Return theta after a change in those coordinates, inside all bounds."""
        theta, scale = self._state.theta, self._scale()
        p, mean, log_std = np.split(change, np.cumsum([len(theta.p), len(scale)]))
        return self._product.move(theta, Tangent(p, mean / scale, 2.0 * log_std), 1.0)

    def _scale(self) -> Floats:
        scale: Floats = self._state.theta.std / self._product.gaussians.std_max
        return scale

    def _read(self, active: Floats | None) -> NDArray[np.bool_] | bool:
        """Return which coordinates belong to a variable that some sample read."""
        if active is None:
            return True
        return np.concatenate(self._product.spread(active.max(axis=0))) > 0.0


@dataclass(frozen=True)
class _Best:
    """The best draw told so far, in raw coordinates, and its loss."""

    theta: Theta
    x: Floats
    loss: float = math.inf


class RandomSearch(Optimizer):
    """Random search: draws every value with equal probability, and keeps the best candidate.

    `best` is the candidate with the smallest loss told so far; before that, the middle of the space. `theta`
    never changes.

    Args:
        space: The search space.
        lam: Candidates per `ask`, at least 2.
        seed: Seed of the generator, >= 0.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Integer
        >>> opt = RandomSearch(Space({"width": Integer(1, 9)}), lam=50)
        >>> candidates = opt.ask()
        >>> opt.tell(candidates, [abs(c["width"] - 4) for c in candidates])
        >>> opt.best
        Architecture({'width': 4})

    References:
        Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012.
    """

    _state: _Best

    def __init__(self, space: Space, *, lam: int = 2, seed: int = 0) -> None:
        super().__init__(Product(space), lam=lam, seed=seed)
        theta = self._product.initial()
        self._state = _Best(theta, self._product.mode(theta))

    def _draw(self, u: Floats) -> Floats:
        return self._product.uniform(u)

    def _best(self) -> Floats:
        return self._state.x

    def _update(self, told: Told) -> _Best:
        losses = np.where(np.isfinite(told.losses), told.losses, np.inf)
        i = int(np.argmin(losses))
        if losses[i] < self._state.loss:
            return _Best(self._state.theta, told.x[i], float(losses[i]))
        return self._state

    def _pack(self) -> dict[str, Any]:
        loss = None if math.isinf(self._state.loss) else self._state.loss
        return {"x": self._state.x.tolist(), "loss": loss}

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> _Best:
        x, loss = array(state, "x", len(self.space)), get(state, "loss")
        if not self._product.is_fit(x[None]):
            raise RunError("state['x']: expected coordinates of a point of the space, got others.")
        return _Best(theta, x, math.inf if loss is None else number(state, "loss"))
