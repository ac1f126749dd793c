"""Early stopping of a search."""

from dataclasses import dataclass

from asng.checks import keep_integer, real_between
from asng.optim import Optimizer
from asng.space import Architecture

__all__ = ["StopRule", "Watch"]


@dataclass(frozen=True)
class StopRule:
    """Ends a search early once its distribution has converged.

    Args:
        entropy: End if the mean entropy of the variables falls to this share of its maximum, in [0, 1].
            Every choice keeps a little probability, so a space of one variable with two choices never falls
            below 0.84. Default 0: never.
        patience: End after this many theta steps without a change of the most likely architecture.
            Default None: never.

    Raises:
        InputError: A number is out of its range.

    Example:
        >>> StopRule(entropy=0.3, patience=500)
        StopRule(entropy=0.3, patience=500)
    """

    entropy: float = 0.0
    patience: int | None = None

    def __post_init__(self) -> None:
        real_between("entropy", self.entropy, 0.0, 1.0)
        if self.patience is not None:
            keep_integer(self, "patience", 1)


class Watch:
    """Applies a stop rule to one search, and counts its theta steps without a change of the mode."""

    def __init__(self, rule: StopRule) -> None:
        self.rule = rule
        self.unchanged = 0
        self._best: Architecture | None = None

    def reason_to_stop(self, theta: Optimizer) -> str | None:
        """Return "entropy" or "patience" if the rule ends the search after this theta step, else None."""
        best = theta.best
        self.unchanged = self.unchanged + 1 if best == self._best else 0
        self._best = best
        if self.rule.entropy > 0.0 and theta.entropy <= self.rule.entropy:
            return "entropy"
        if self.rule.patience is not None and self.unchanged >= self.rule.patience:
            return "patience"
        return None

    def state_dict(self) -> dict[str, object]:
        """Return the count, for a checkpoint."""
        return {"unchanged": self.unchanged, "best": None if self._best is None else self._best.to_json()}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore the count from a checkpoint."""
        self.unchanged = int(state["unchanged"])  # type: ignore[call-overload]
        best = state["best"]
        self._best = Architecture.from_json(best) if isinstance(best, str) else None
