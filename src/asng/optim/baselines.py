"""Stochastic natural gradient with a step of constant length: ASNG without the adaptation."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asng.checks import one_of, real_between
from asng.distributions import Floats, Product, Tangent, Theta, ThetaView
from asng.errors import RunError
from asng.optim.draws import Draws, check_lam
from asng.optim.estimate import gradient
from asng.optim.saving import array, get, number, pack, pack_theta, unpack, unpack_theta, whole
from asng.space import Architecture, Candidate, Space

__all__ = ["SNG", "Adam", "RandomSearch"]


class SNG:
    """Stochastic natural gradient: theta += delta G / ||G||_F.

    A baseline: what ASNG is with its step size held constant.

    Args:
        space: The search space.
        lam: Samples an update, at least 2.
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

    def __init__(
        self,
        space: Space,
        *,
        lam: int = 2,
        seed: int = 0,
        delta_init: float = 1.0,
        sampling: Literal["independent", "stratified"] = "independent",
    ) -> None:
        self.lam = check_lam(space, lam)
        self.space = space
        self._settings = {"delta_init": real_between("delta_init", delta_init, 0.0, 1e6, open_low=True)}
        self._product = Product(space)
        one_of("sampling", sampling, ["independent", "stratified"])
        self._draws = Draws(self._product, seed=seed, sampling=sampling)
        self._theta = self._product.initial()

    @property
    def generation(self) -> int:
        """How many times `tell` has been called."""
        return self._draws.generation

    @property
    def best(self) -> Architecture:
        """The most likely architecture: the mode of each choice, the mean of each range."""
        return self.space.decode(self._product.mode(self._theta))  # type: ignore[arg-type]

    @property
    def theta(self) -> ThetaView:
        """Parameters by name: probabilities, or (mean, std) in raw coordinates (log where set)."""
        return ThetaView(self._product, self._theta)

    @property
    def entropy(self) -> float:
        """How undecided the search is, from 1 (at the start) to 0: a mean over the variables."""
        return self._product.entropy(self._theta)

    @property
    def delta(self) -> float:
        """Length of every step in the Fisher metric."""
        return self._settings["delta_init"]

    @property
    def gamma(self) -> float:
        """Always 0: nothing is accumulated to adapt the step size."""
        return 0.0

    @property
    def n_theta(self) -> int:
        """Degrees of freedom: choices less one, and two for each ordered variable."""
        return self._product.n_theta

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Draw n candidates (default lam) from the current distribution."""
        theta = self._theta
        return self._draws.ask(self.lam if n is None else n, lambda u: self._product.sample(theta, u))

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Take one step; arguments and errors as of `ASNG.tell`."""
        told = self._draws.read(candidates, losses)
        found = gradient(self._product, self._theta, told.x, told.losses, told.active)
        if found is not None:
            G, norm = found
            self._theta = self._product.move(self._theta, G, self.delta / norm)
        self._draws.generation += 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, as plain values that JSON can hold."""
        return pack("SNG", self._draws, self._fixed()) | {"theta": pack_theta(self._theta)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits.

        Raises:
            RunError: It does not fit, or is damaged. The optimiser stays as it was.
        """
        generation, generator = unpack(state, "SNG", self._draws, self._fixed())
        self._theta = unpack_theta(state, self._product)
        self._draws.generation, self._draws.rng = generation, generator

    def _fixed(self) -> dict[str, Any]:
        return {"lam": self.lam, "sampling": self._draws.sampling} | self._settings


# Adam on the normalised natural gradient: the baseline that adapts each coordinate by itself.


BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Decay of the first and of the second moment, and the floor of the divisor: the usual values."""


class Adam:
    """Adam on G / ||G||_F, as the paper's authors compare with.

    Every probability moves by about `learning_rate` an update; so does every mean, in units of half its
    range, and every log(std).

    A variable that no sample of an update read stays as it is, and so do its moments, as in PyTorch's
    SparseAdam: momentum would move it on for no reason of its own.

    Differs: the authors' Adam knows categoricals only.

    Args:
        space: The search space.
        lam: Samples an update, at least 2.
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

    def __init__(
        self,
        space: Space,
        *,
        lam: int = 2,
        seed: int = 0,
        learning_rate: float = 0.01,
        sampling: Literal["independent", "stratified"] = "independent",
    ) -> None:
        self.lam = check_lam(space, lam)
        self.space = space
        self._settings = {
            "learning_rate": real_between("learning_rate", learning_rate, 0.0, 1e6, open_low=True)
        }
        self._product = Product(space)
        one_of("sampling", sampling, ["independent", "stratified"])
        self._draws = Draws(self._product, seed=seed, sampling=sampling)
        self._theta = self._product.initial()
        size = sum(len(part) for part in self._theta)
        self._m, self._v, self._t = np.zeros(size), np.zeros(size), 0

    @property
    def generation(self) -> int:
        """How many times `tell` has been called."""
        return self._draws.generation

    @property
    def best(self) -> Architecture:
        """The most likely architecture: the mode of each choice, the mean of each range."""
        return self.space.decode(self._product.mode(self._theta))  # type: ignore[arg-type]

    @property
    def theta(self) -> ThetaView:
        """Parameters by name: probabilities, or (mean, std) in raw coordinates (log where set)."""
        return ThetaView(self._product, self._theta)

    @property
    def entropy(self) -> float:
        """How undecided the search is, from 1 (at the start) to 0: a mean over the variables."""
        return self._product.entropy(self._theta)

    @property
    def delta(self) -> float:
        """Step size of Adam, the learning rate."""
        return self._settings["learning_rate"]

    @property
    def gamma(self) -> float:
        """Always 0: nothing is accumulated to adapt the step size."""
        return 0.0

    @property
    def n_theta(self) -> int:
        """Degrees of freedom: choices less one, and two for each ordered variable."""
        return self._product.n_theta

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Draw n candidates (default lam) from the current distribution."""
        theta = self._theta
        return self._draws.ask(self.lam if n is None else n, lambda u: self._product.sample(theta, u))

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Take one step; arguments and errors as of `ASNG.tell`."""
        told = self._draws.read(candidates, losses)
        found = gradient(self._product, self._theta, told.x, told.losses, told.active)
        self._t += 1
        if found is not None:
            G, norm = found
            g, read = self._coordinates(G) / norm, self._read(told.active)
            self._m = np.where(read, BETA_1 * self._m + (1.0 - BETA_1) * g, self._m)
            self._v = np.where(read, BETA_2 * self._v + (1.0 - BETA_2) * g**2, self._v)
            m = self._m / (1.0 - BETA_1**self._t)
            v = self._v / (1.0 - BETA_2**self._t)
            self._theta = self._moved(np.where(read, self.delta * m / (np.sqrt(v) + EPSILON), 0.0))
        self._draws.generation += 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, as plain values that JSON can hold."""
        return pack("Adam", self._draws, self._fixed()) | {
            "theta": pack_theta(self._theta),
            "m": self._m.tolist(),
            "v": self._v.tolist(),
            "t": self._t,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits.

        Raises:
            RunError: It does not fit, or is damaged. The optimiser stays as it was.
        """
        generation, generator = unpack(state, "Adam", self._draws, self._fixed())
        theta = unpack_theta(state, self._product)
        m, v = (array(state, key, len(self._m)) for key in ("m", "v"))
        self._theta, self._m, self._v, self._t = theta, m, np.abs(v), whole(state, "t")
        self._draws.generation, self._draws.rng = generation, generator

    def _coordinates(self, G: Tangent) -> Floats:
        """Return G as one vector: probabilities, means over half their range, log(std)."""
        scale = self._theta.std / self._product.gaussians.std_max
        return np.concatenate((G.p, scale * G.g1, 0.5 * G.g2))

    def _read(self, active: Floats | None) -> NDArray[np.bool_] | bool:
        """Return which coordinates belong to a variable that some sample read."""
        if active is None:
            return True
        return np.concatenate(self._product.spread(active.max(axis=0))) > 0.0

    def _moved(self, change: Floats) -> Theta:
        """Return theta after a change in those coordinates, inside all bounds."""
        scale = self._theta.std / self._product.gaussians.std_max
        p, mean, log_std = np.split(change, np.cumsum([len(self._theta.p), len(scale)]))
        return self._product.move(self._theta, Tangent(p, mean / scale, 2.0 * log_std), 1.0)

    def _fixed(self) -> dict[str, Any]:
        return {"lam": self.lam, "sampling": self._draws.sampling} | self._settings


# Uniform random search: the baseline that every other has to beat.


class RandomSearch:
    """Draw every value equally likely, and keep the best.

    Args:
        space: The search space.
        lam: Candidates an `ask`, at least 2.
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

    def __init__(self, space: Space, *, lam: int = 2, seed: int = 0) -> None:
        self.lam = check_lam(space, lam)
        self.space = space
        self._product = Product(space)
        self._draws = Draws(self._product, seed=seed, sampling="independent")
        self._theta = self._product.initial()
        self._best = self._product.mode(self._theta)
        self._least = math.inf

    @property
    def generation(self) -> int:
        """How many times `tell` has been called."""
        return self._draws.generation

    @property
    def best(self) -> Architecture:
        """The candidate with the least loss told so far; before any, the middle of the space."""
        return self.space.decode(self._best)  # type: ignore[arg-type]

    @property
    def theta(self) -> ThetaView:
        """Uniform probabilities, and (middle, half) of each range; they never change."""
        return ThetaView(self._product, self._theta)

    @property
    def entropy(self) -> float:
        """Always 1: nothing is ever decided. 0 where there is nothing to choose."""
        return self._product.entropy(self._theta)

    @property
    def delta(self) -> float:
        """Always 0: no step is taken."""
        return 0.0

    @property
    def gamma(self) -> float:
        """Always 0: nothing is accumulated."""
        return 0.0

    @property
    def n_theta(self) -> int:
        """Degrees of freedom that another optimiser would have."""
        return self._product.n_theta

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Draw n candidates (default lam) uniformly."""
        return self._draws.ask(self.lam if n is None else n, self._product.uniform)

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Remember the best candidate; arguments and errors as of `ASNG.tell`."""
        told = self._draws.read(candidates, losses)
        values = np.where(np.isfinite(told.losses), told.losses, np.inf)
        i = int(np.argmin(values))
        if values[i] < self._least:
            self._least, self._best = float(values[i]), told.x[i]
        self._draws.generation += 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, as plain values that JSON can hold."""
        least = None if math.isinf(self._least) else self._least
        return pack("RandomSearch", self._draws, {"lam": self.lam}) | {
            "x": self._best.tolist(),
            "loss": least,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits.

        Raises:
            RunError: It does not fit, or is damaged. The optimiser stays as it was.
        """
        generation, generator = unpack(state, "RandomSearch", self._draws, {"lam": self.lam})
        x, loss = array(state, "x", len(self.space)), get(state, "loss")
        if not self._product.is_fit(x[None]):
            raise RunError("state['x']: expected coordinates of a point of the space, got others.")
        self._least = math.inf if loss is None else number(state, "loss", -math.inf)
        self._best = x
        self._draws.generation, self._draws.rng = generation, generator
