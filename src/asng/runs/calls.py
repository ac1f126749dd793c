"""The calls of f that a log of `asng.minimize` holds, as columns: there may be a million."""

import math
from array import array
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asng.runs.fields import as_object, number

__all__ = ["MOST_BEST", "Call", "CallReader", "Calls"]

MOST_BEST = 10
"""So many calls, the best, are kept with their architectures."""


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        number: Which one, from 1 on, in the order in which they came back.
        loss: What f returned; NaN where that was not finite.
        architecture: Name to value.
    """

    number: int
    loss: float
    architecture: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Calls:
    """All calls.

    Attributes:
        losses: Of each call, in the order in which they came back, shape (n,); NaN where f gave none.
        best: The best ten at most with a loss, the best first, of equal ones the first call first.
        names: Of the variables.
    """

    losses: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    best: tuple[Call, ...] = ()
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.losses)


class CallReader:
    """Gathers calls.

    Example:
        >>> reader = CallReader()
        >>> for loss in (3.0, 1.0, "nan"):
        ...     reader.take({"loss": loss, "architecture": {"x": 1}}, "log.jsonl")
        >>> calls = reader.calls()
        >>> len(calls), calls.best[0].number, calls.names
        (3, 2, ('x',))
    """

    def __init__(self) -> None:
        self._losses = array("d")
        self._best: list[Call] = []
        self._names: tuple[str, ...] = ()

    def take(self, event: Mapping[str, Any], where: str) -> None:
        """Take in the event of a call."""
        architecture = as_object(event.get("architecture"), f"{where}, architecture")
        # A string stands for a loss that JSON has no number for.
        loss = math.nan if isinstance(event.get("loss"), str) else number(event, "loss", where)
        if not self._losses:
            self._names = tuple(architecture)
        self._losses.append(loss)
        if len(self._best) < MOST_BEST or loss < self._best[-1].loss:
            if not math.isnan(loss):
                insort(self._best, Call(len(self._losses), loss, architecture), key=lambda call: call.loss)
            del self._best[MOST_BEST:]

    def calls(self) -> Calls:
        """Return what was taken in."""
        return Calls(np.frombuffer(self._losses, np.float64), tuple(self._best), self._names)
