"""What a benchmark problem is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from asng.space import Space

__all__ = ["Point", "Problem"]

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
