"""When a search ends before its budget is spent."""

import math
from dataclasses import dataclass

from asng.checks import integer_at_least, real_between

__all__ = ["IDLE", "MinimizeStopRule"]

IDLE = 200
"""Generations in a row without a new point after which a search counts as converged: they cost nothing but
time, 30 to 60 ms at 30 variables, and give the margin of the probabilities 1,600 draws to find a point that
is new."""


@dataclass(frozen=True)
class MinimizeStopRule:
    """Ends a search that is good enough, takes too long, or gets no further.

    All but `seconds` are looked at after a whole generation, so that they do not depend on the number of
    workers.

    Args:
        target: End if a loss is at most this; not of several objectives. Default None: never.
        seconds: End if the search has taken this long, > 0, earlier parts of a resumed one included.
            Looked at after each call: none is begun any more, and those under way are waited for. Default
            None: never.
        patience: End after this many evaluations of f without a better loss, >= 1. Default None: never.
        entropy: End if the mean entropy of the variables falls to this share of the greatest possible
            one, in [0, 1]. Every choice keeps a little probability. Default 0: never.

    Raises:
        InputError: A number is out of its range.

    Example:
        >>> MinimizeStopRule(target=0.01, patience=200)
        MinimizeStopRule(target=0.01, seconds=None, patience=200, entropy=0.0)
    """

    target: float | None = None
    seconds: float | None = None
    patience: int | None = None
    entropy: float = 0.0

    def __post_init__(self) -> None:
        if self.target is not None:
            real_between("target", self.target, -math.inf, math.inf)
        if self.seconds is not None:
            real_between("seconds", self.seconds, 0.0, math.inf, open_low=True)
        if self.patience is not None:
            integer_at_least("patience", self.patience, 1)
        real_between("entropy", self.entropy, 0.0, 1.0)

    def reason(self, *, loss: float, seconds: float, unimproved: int, entropy: float) -> str | None:
        """Return which rule ends the search: "target", "patience", "entropy", "seconds", or None.

        Args:
            loss: The least so far.
            seconds: Since the start.
            unimproved: Evaluations of f since that loss.
            entropy: Of theta, in [0, 1].
        """
        if self.target is not None and loss <= self.target:
            return "target"
        if self.patience is not None and unimproved >= self.patience:
            return "patience"
        if self.entropy > 0.0 and entropy <= self.entropy:
            return "entropy"
        if self.seconds is not None and seconds >= self.seconds:
            return "seconds"
        return None
