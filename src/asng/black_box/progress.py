"""What a callback sees of a search after each generation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from asng.black_box.evaluation import Evaluation
from asng.distributions import ThetaView
from asng.space import Architecture

__all__ = ["Callback", "Progress"]


@dataclass(frozen=True)
class Progress:
    """Where a search stands; nothing in it can change the search.

    Attributes:
        generation: How many were told.
        evaluated: How many calls of f were paid for.
        evaluations: Those of this generation, remembered ones too.
        best: The best so far.
        most_likely: What theta stands for now.
        theta: Parameters by name.
        entropy: How undecided theta is, from 1 to 0.
        seconds: Since the start of the search.
    """

    generation: int
    evaluated: int
    evaluations: tuple[Evaluation, ...]
    best: Evaluation
    most_likely: Architecture
    theta: ThetaView
    entropy: float
    seconds: float


Callback: TypeAlias = Callable[[Progress], bool | None]
"""Is told of every generation; where it returns True, the search ends."""
