"""Losses to tell an optimiser under a budget, such that the budget comes first."""

import math
from collections.abc import Sequence

__all__ = ["behind_budget"]

# Far above every measured loss, and distinct from each other in double precision. They are fixed numbers, not
# ranks among the candidates at hand, because an optimiser may compare candidates of different steps.
_LARGEST = 1e298
_UNUSABLE = 1e299
_OVER = 1e300


def behind_budget(losses: Sequence[float], excess: Sequence[float]) -> list[float]:
    """Return losses that rank candidates within a budget first, and those over it last.

    The order is: within the budget, by loss; within it without a finite loss, all equal; over it, by how far,
    whatever the loss. So if all candidates are over the budget, a search moves towards the cheaper ones.

    Args:
        losses: One per candidate, smaller is better; may be NaN or infinite. Beyond 1e298 all are equal.
        excess: How far each candidate is over its budgets, >= 0; 0 if within them.

    Returns:
        Finite losses. A finite loss within the budget stays as it is, up to 1e298.

    Example:
        >>> told = behind_budget([0.3, 0.1, 0.2, math.nan], [0.0, 0.5, 0.0, 0.0])
        >>> sorted(range(4), key=told.__getitem__)
        [2, 0, 3, 1]
    """
    return [_place(loss, over) for loss, over in zip(losses, excess, strict=True)]


def _place(loss: float, over: float) -> float:
    if over > 0.0:
        return _OVER * (2.0 - 1.0 / (1.0 + over))  # from 1 to 2 times _OVER
    if not math.isfinite(loss):
        return _UNUSABLE
    return min(max(loss, -_LARGEST), _LARGEST)
