"""One call of the user's function: a number comes back, or what went wrong, from whichever process."""

import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, SupportsFloat, TypeAlias

from asng.black_box.watched import Watched
from asng.space import Architecture

__all__ = ["Function", "Outcome", "call"]

Function: TypeAlias = Callable[[Architecture], SupportsFloat]
"""From an architecture to its loss, lower is better."""


class Outcome(NamedTuple):
    """What a call came to.

    Attributes:
        loss: What f returned; NaN where it failed.
        active: Names of the variables that it read; None for all of them.
        seconds: How long it took.
        error: What went wrong, in one line; None where nothing did.
        trace: Where it went wrong: the traceback as text. Exceptions themselves do not all travel between
            processes.
    """

    loss: float
    active: frozenset[str] | None
    seconds: float
    error: str | None = None
    trace: str = ""


def call(f: Function, architecture: Architecture, activity: bool) -> Outcome:
    """Evaluate an architecture.

    Args:
        f: The user's function.
        architecture: What to call it with.
        activity: Whether to watch which variables it reads.

    Example:
        >>> call(lambda a: a["x"] ** 2, Architecture({"x": 3, "y": 4}), activity=True)[:2]
        (9.0, frozenset({'x'}))
    """
    given = Watched(architecture) if activity else architecture
    started = time.perf_counter()
    loss, error, trace = float("nan"), None, ""
    try:
        loss = _as_number(f(given))
    except Exception as failure:  # not ctrl-C
        error, trace = f"{type(failure).__name__}: {failure}", traceback.format_exc()
    seconds = time.perf_counter() - started
    active = None
    if isinstance(given, Watched) and len(given.read) < len(architecture):
        active = given.read
    return Outcome(loss, active, seconds, error, trace)


def _as_number(value: Any) -> float:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"expected a number as the loss, got {value!r:.80}. Return a float")
    return float(value)
