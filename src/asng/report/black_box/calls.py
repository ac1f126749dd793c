"""The calls of f that a log of `asng.minimize` holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asng.report.fields import as_object, number

__all__ = ["Call", "best_first", "call_of"]


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


def call_of(event: Mapping[str, Any], number_of: int, where: str) -> Call:
    """Return the call of an event."""
    architecture = as_object(event.get("architecture"), f"{where}, architecture")
    # A string stands for a loss that JSON has no number for.
    loss = math.nan if isinstance(event.get("loss"), str) else number(event, "loss", where)
    return Call(number_of, loss, architecture)


def best_first(calls: Sequence[Call]) -> list[Call]:
    """Return those with a loss by the loss, of equal ones the first call first."""
    return sorted((call for call in calls if not math.isnan(call.loss)), key=lambda call: call.loss)
