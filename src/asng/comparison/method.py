"""What a method of a comparison must do."""

from collections.abc import Sequence
from typing import Protocol

from asng.comparison.problem import Point

__all__ = ["Active", "Method"]

Active = frozenset[str] | None
"""Which variables the loss of a point depended on; None for all."""


class Method(Protocol):
    """Asks for losses of points, and is told them."""

    def ask(self) -> Sequence[Point]:
        """Return the next points to evaluate, one or more."""

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from the losses of all points of the last `ask`."""
