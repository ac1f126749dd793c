"""Uniform random search: the baseline that every other has to beat."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asng.distributions import Product, ThetaView
from asng.errors import RunError
from asng.optim.draws import Draws, check_lam
from asng.optim.saving import array, get, number, pack, unpack
from asng.space import Architecture, Candidate, Space

__all__ = ["RandomSearch"]


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
