"""Decide when a search ends before its budget is spent."""

import math
from dataclasses import dataclass

from asng.checks import keep_integer, real_between

__all__ = ["IDLE", "MinimizeStopRule"]

IDLE = 200
"""Generations in a row without a new point after which a search counts as converged. They cost only time, 30
to 60 ms at 30 variables, and give the margin of the probabilities 1,600 draws to find a new point."""


@dataclass(frozen=True)
class MinimizeStopRule:
    """Ends a search that is good enough, takes too long, or makes no progress.

    All rules but `seconds` are checked after a whole generation, so that they do not depend on the number of
    workers.

    Args:
        target: End if a loss is at most this; ignored with several objectives. Default None: never.
        seconds: End if the search has taken this long, > 0, including earlier parts of a resumed one. This is
            checked after each call: no further call starts, and running ones are waited for. Default None:
            never.
        patience: End after this many evaluations of f without a better loss, >= 1. Default None: never.
        entropy: End if the mean entropy of the variables falls to this share of its maximum, in [0, 1]. Every
            choice keeps a little probability. Default 0: never.

    Raises:
        InputError: A number is out of range.

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
            keep_integer(self, "patience", 1)
        real_between("entropy", self.entropy, 0.0, 1.0)

    def reason(self, *, loss: float, seconds: float, unimproved: int, entropy: float) -> str | None:
        """Return which rule ends the search: "target", "patience", "entropy", "seconds", or None.

        Args:
            loss: The least loss so far.
            seconds: Seconds since the start.
            unimproved: Evaluations of f since that loss.
            entropy: Entropy of theta, in [0, 1].
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
