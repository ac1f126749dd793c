"""Let calls of f report their progress, so that hopeless ones end early."""

import math
import statistics
from bisect import insort
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from asng.checks import integer_at_least, keep_integer
from asng.errors import InputError

__all__ = ["Curve", "Curves", "MedianRule", "Reports", "StopCall", "report_step", "reports_here"]

Curve = tuple[tuple[int, float], ...]
"""(step, value) pairs that a call reported."""


class StopCall(BaseException):
    """Ends a call early; not an `Exception`, so that f does not take it for an error of its own."""


@dataclass(frozen=True)
class MedianRule:
    """Ends a call whose best value so far is worse than the median of earlier calls at the same step.

    Only calls of earlier generations count (in an asynchronous search, those that had come back when the
    call began), so that nothing depends on which of several concurrent calls is ahead.

    Args:
        calls: How many earlier calls must have reported a step before a call may be ended there, >= 1.
        steps: First step at which a call may be ended, >= 0.

    Raises:
        InputError: A number is out of range.

    References:
        Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, Section 3.2.2.
    """

    calls: int = 5
    steps: int = 0

    def __post_init__(self) -> None:
        keep_integer(self, "calls", 1)
        keep_integer(self, "steps", 0)


class Curves:
    """Collects what earlier calls reported.

    Args:
        rule: When to end calls; None for never.

    Example:
        >>> curves = Curves(MedianRule(calls=2))
        >>> curves.add(((0, 3.0), (1, 2.0)))
        >>> curves.add(((0, 5.0),))
        >>> curves.limits()
        {0: 4.0}
    """

    def __init__(self, rule: MedianRule | None) -> None:
        self._rule = rule
        self._best: dict[int, list[float]] = {}

    def add(self, curve: Curve) -> None:
        """Take in what a call reported."""
        best = math.inf
        for step, value in curve:
            best = min(best, value) if not math.isnan(value) else best
            insort(self._best.setdefault(step, []), best)

    def limits(self) -> dict[int, float] | None:
        """Return the worst value with which a call continues, by step; None without a rule."""
        if self._rule is None:
            return None
        return {
            step: statistics.median(values)
            for step, values in self._best.items()
            if len(values) >= self._rule.calls and step >= self._rule.steps
        }


@dataclass
class Reports:
    """What one call has reported, and the limits beyond which it is ended."""

    limits: Mapping[int, float] | None
    curve: list[tuple[int, float]] = field(default_factory=list)
    best: float = math.inf

    def take(self, step: int, value: float) -> None:
        """Take in a value; end the call if its best value so far is worse than the limit of the step."""
        step, value = integer_at_least("step", step, 0), float(value)
        if self.curve and step <= self.curve[-1][0]:
            raise InputError(
                f"step: expected a step after {self.curve[-1][0]}, got {step}. Report each step once."
            )
        self.curve.append((step, value))
        self.best = self.best if math.isnan(value) else min(self.best, value)
        if self.limits is not None and self.best > self.limits.get(step, math.inf):
            raise StopCall


reports_here: ContextVar[Reports | None] = ContextVar("reports_here", default=None)
"""The reports of the call that is running in this thread."""


def report_step(step: int, value: float) -> None:
    """Report the loss so far from within f; outside a call, do nothing.

    With `minimize(..., early_stop=MedianRule())` a hopeless call ends here, and ranks by this value.

    Args:
        step: How far the call is, such as the epoch: an integer >= 0, greater than the last one.
        value: The loss so far, lower is better.

    Raises:
        InputError: `step` is no integer >= 0, or not greater than the last one.

    Example:
        >>> from asng import Integer, Space, minimize
        >>> def loss(a):
        ...     for epoch in range(3):
        ...         report_step(epoch, a["x"] / (epoch + 1))
        ...     return a["x"] / 3
        >>> result = minimize(loss, Space({"x": Integer(0, 50)}), 40, early_stop=MedianRule())
        >>> any(one.stopped for one in result.history), result.architecture["x"]
        (True, 0)
    """
    here = reports_here.get()
    if here is not None:
        here.take(step, value)
