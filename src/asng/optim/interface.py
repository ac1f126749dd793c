"""What every optimiser offers, so that a search loop can take any of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from asng.distributions import ThetaView
from asng.space import Architecture, Candidate, Space

__all__ = ["Optimizer"]


@runtime_checkable
class Optimizer(Protocol):
    """Asks for losses of candidates and learns from the answers.

    Attributes:
        space: The search space.
        lam: How many candidates `ask` returns by default.
    """

    space: Space
    lam: int

    @property
    def generation(self) -> int:
        """How many times `tell` has been called."""

    @property
    def best(self) -> Architecture:
        """The architecture that the search stands for now."""

    @property
    def theta(self) -> ThetaView:
        """Parameters by name: probabilities, or (mean, std)."""

    @property
    def entropy(self) -> float:
        """How undecided the search is, from 1 (at the start) to 0."""

    @property
    def delta(self) -> float:
        """Length of the next step."""

    @property
    def gamma(self) -> float:
        """Expected squared length of the accumulated gradient, in [0, 1]."""

    @property
    def n_theta(self) -> int:
        """Degrees of freedom of theta."""

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Draw n candidates (default lam)."""

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Learn from the losses of candidates; lower is better."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, as plain values that JSON can hold."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits."""
