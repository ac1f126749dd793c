"""What a benchmark problem is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from asng.space import Space

__all__ = ["Point", "Problem", "Active", "Method"]

Point: TypeAlias = tuple[int, ...]
"""One integer a variable: the index of a choice, or the value of an integer."""


@dataclass(frozen=True)
class Problem:
    """A known function of categoricals and integers.

    Attributes:
        space: Categoricals over `range(K)`, and integers.
        loss: The true value of a point, lower is better.
        optimum: The least there is.
        target: A true value that counts as success.
        noise: Standard deviation of what is added to the true value before a method sees it.
        read: Which variables the loss of a point depends on; None where on all of them.
    """

    space: Space
    loss: Callable[[Point], float]
    optimum: float
    target: float
    noise: float = 0.0
    read: Callable[[Point], frozenset[str]] | None = None


# What a method of a comparison must do.


Active = frozenset[str] | None
"""Which variables the loss of a point depended on; None for all."""


class Method(Protocol):
    """Asks for losses of points, and is told them."""

    def ask(self) -> Sequence[Point]:
        """Return the next points to evaluate, one or more."""

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from the losses of all points of the last `ask`."""
