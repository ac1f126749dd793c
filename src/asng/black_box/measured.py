"""What f may return besides a number, and how outcomes rank: feasible ones first."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from asng.errors import in_one_line
from asng.optim.model import INFEASIBLE
from asng.space.plain import plain, shown

__all__ = ["Measured", "as_measured", "excess", "rank_sums", "rank_value", "worst"]


class Measured:
    """One loss or several, optionally with constraints.

    Args:
        loss: The loss, lower is better; or several by name, if `minimize` was given these `objectives`.
        constraints: Maps a name to a number: at most 0 if the constraint holds, otherwise the amount by which
            it is violated. Use numbers of comparable size, such as shares of a limit, since they are added.

    Raises:
        TypeError: A value is not a number, a constraint is a truth value, or a name is not a string.

    Example:
        >>> Measured(0.07, constraints={"size": 5.2 / 4.0 - 1.0}).feasible
        False
    """

    __slots__ = ("constraints", "loss")

    def __init__(
        self, loss: float | Mapping[str, float], *, constraints: Mapping[str, float] | None = None
    ) -> None:
        self.loss: float | dict[str, float] = (
            {_name(key): _number(value) for key, value in loss.items()}
            if isinstance(loss, Mapping)
            else _number(loss)
        )
        self.constraints = {_name(key): _violation(key, value) for key, value in (constraints or {}).items()}

    @property
    def feasible(self) -> bool:
        """Whether all constraints hold."""
        return excess(self.constraints.values()) == 0.0

    def __repr__(self) -> str:
        return f"Measured({self.loss!r}, constraints={self.constraints!r})"


def as_measured(value: Any) -> Measured:
    """Return what f returned as a `Measured`.

    Raises:
        TypeError: It is neither a number, nor numbers by name, nor a `Measured`.
    """
    return value if isinstance(value, Measured) else Measured(value)


def excess(constraints: Iterable[float]) -> float:
    """Return the total violation of constraints; infinite if one is NaN."""
    total = 0.0
    for value in constraints:
        total += math.inf if math.isnan(value) else max(value, 0.0)
    return total


def worst(constraints: Mapping[str, float] | None) -> float:
    """Return the constraint that is violated most, or is closest to it; infinite if one is NaN, 0 if none.

    It is never minus infinity, which an optimiser would take for a failed measurement.

    Example:
        >>> worst({"size": -0.5, "time": -0.1}), worst({"size": 0.2, "time": math.nan}), worst({})
        (-0.1, inf, 0.0)
    """
    values = [math.inf if math.isnan(value) else value for value in (constraints or {}).values()]
    return max(-INFEASIBLE, *values) if values else 0.0


def rank_value(loss: float, constraints: Mapping[str, float] | None) -> float:
    """Return what an optimiser is told: the loss of a feasible architecture, a greater number for others.

    Example:
        >>> rank_value(9.0, {"size": -1.0}) < rank_value(1.0, {"size": 0.1}) < rank_value(1.0, {"size": 0.2})
        True

    References:
        Deb, "An efficient constraint handling method for genetic algorithms", Computer Methods in Applied
        Mechanics and Engineering 186, 2000 (feasible before infeasible, those by their violation).
    """
    over = excess(constraints.values()) if constraints else 0.0
    if over == 0.0 or math.isnan(loss):
        return loss
    return INFEASIBLE * (1.0 + (over / (1.0 + over) if math.isfinite(over) else 1.0))


def rank_sums(losses: Sequence[Mapping[str, float] | None]) -> list[float]:
    """Return the sum of the ranks of each outcome's losses, so that no objective counts by its scale.

    Args:
        losses: Losses by name of each outcome; None for one that does not count.

    Returns:
        Equal losses share their rank. NaN for an outcome that does not count, or that has a loss which is not
        finite.

    Example:
        >>> rank_sums([{"a": 0.1, "b": 9e6}, {"a": 0.3, "b": 7e6}, None, {"a": 0.3, "b": 5e6}])
        [4.0, 4.5, nan, 3.5]
    """
    from scipy.stats import rankdata  # here, as it takes half a second, and few runs have several losses

    names = next((one for one in losses if one), {})
    table = np.array([[(one or {}).get(name, math.nan) for name in names] for one in losses])
    counts = np.isfinite(table).all(axis=1)
    sums = np.full(len(losses), math.nan)
    sums[counts] = rankdata(table[counts], axis=0).sum(axis=1)
    return [float(one) for one in sums]


def _number(value: Any) -> float:
    if not isinstance(value, (str, bytes)) and hasattr(value, "__float__"):
        with suppress(TypeError, ValueError, OverflowError):  # of arrays, and of integers beyond any float
            return float(value)
    raise TypeError(
        f"expected a number as the loss, got {in_one_line(shown(value), 80)}. Return a float, or "
        "asng.black_box.Measured"
    )


def _violation(name: str, value: Any) -> float:
    if isinstance(plain(value), bool):
        raise TypeError(
            f"constraint {name!r}: expected a number, at most 0 if it holds, got {value}. Return by how much "
            "it is violated, such as size / limit - 1"
        )
    return _number(value)


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"expected names that are strings, got {key!r:.80}")
    return key
