"""Stochastic natural gradient with a step of constant length: ASNG without the adaptation."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from asng.checks import one_of, real_between
from asng.distributions import Product, ThetaView
from asng.optim.draws import Draws, check_lam
from asng.optim.estimate import gradient
from asng.optim.saving import pack, pack_theta, unpack, unpack_theta
from asng.space import Architecture, Candidate, Space

__all__ = ["SNG"]


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
