"""One entry of the history of a search."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from asng.space import Architecture

__all__ = ["Evaluation", "best_of", "rank_key"]


@dataclass(frozen=True)
class Evaluation:
    """An architecture and its loss.

    Attributes:
        architecture: What was evaluated.
        loss: What f returned; NaN where it failed.
        generation: In which it was drawn, from 0 on.
        cached: Whether the loss was remembered, and f not called.
        active: Names of the variables that f read; None for all of them.
        error: What went wrong, where f failed.
        seconds: How long the call took; not compared.
    """

    architecture: Architecture
    loss: float
    generation: int
    cached: bool = False
    active: frozenset[str] | None = None
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)


def rank_key(loss: float) -> float:
    """Return what a loss ranks by: NaN and infinities worst, as optimisers rank them."""
    return loss if math.isfinite(loss) else math.inf


def best_of(evaluations: Iterable[Evaluation]) -> Evaluation:
    """Return the one with the least loss, of equal ones the first."""
    return min(evaluations, key=lambda one: rank_key(one.loss))
