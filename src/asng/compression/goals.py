"""What a child may cost: limits in absolute numbers, or as shares of the model's own costs."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

from asng.checks import one_of
from asng.costs import Budget
from asng.costs.measures import MEASURES
from asng.costs.terms import excess, limit_of
from asng.errors import InputError

__all__ = ["BudgetLike", "Goal", "goals_of"]

BudgetLike: TypeAlias = float | str | Budget | Sequence[float | str | Budget]
"""A share of the multiply-adds, words such as "latency=2ms", a Budget, or several that must all hold."""

_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_COUNTS = {"k": 1e3, "M": 1e6, "G": 1e9}
_SIZES = {"B": 1.0, "kB": 1e3, "MB": 1e6, **_COUNTS}
_UNITS = {
    "parameters": _COUNTS,
    "multiply_adds": _COUNTS,
    "bytes": _SIZES,
    "activation_memory": _SIZES,
    "latency": _TIMES,
    "onnx_latency": _TIMES,
}
_SHARE = re.compile(r"\d+(?:\.\d*)?%?")
_WORDS = re.compile(r"(?P<measure>\w+)=(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?P<unit>[A-Za-z]*|%)")


@dataclass(frozen=True)
class Goal:
    """What one child may cost at most.

    Attributes:
        name: A short name, which also names the child's folder.
        budgets: The budgets, which must all hold.
    """

    name: str
    budgets: tuple[Budget, ...]

    def excess(self, costs: Mapping[str, float]) -> float:
        """Return how far costs exceed the budgets, as a sum of shares of the limits; 0 if within."""
        return excess(self.budgets, costs)

    def used(self, costs: Mapping[str, float]) -> float:
        """Return the share of the tightest budget that costs use up; 1 is all of it."""
        return max(costs[budget.name] / limit_of(budget) for budget in self.budgets)


def goals_of(budget: Any, budgets: Any) -> list[Goal]:
    """Return the goals of a compression.

    Args:
        budget: The budget of one child, or None.
        budgets: One for each of several children, or None.

    Raises:
        InputError: Neither or both are given, two budgets are the same, or one is malformed.

    Example:
        >>> [goal.name for goal in goals_of(None, [0.5, ["latency=2ms", "bytes=1MB"]])]
        ['multiply_adds-0.5', 'latency-2ms-bytes-1MB']
    """
    if (budget is None) == (budgets is None):
        raise InputError(
            f"budget, budgets: expected one of them, got {'neither' if budget is None else 'both'}. Give "
            "budget=0.5 for half of the multiply-adds, or budgets=[0.25, 0.5] for a child each."
        )
    if budgets is not None and (
        isinstance(budgets, (str, Mapping, Set)) or not isinstance(budgets, Iterable)
    ):
        raise InputError(f"budgets: expected a list, got {budgets!r}. Give one budget as budget=.")
    goals = [_goal_of(one) for one in ([budget] if budgets is None else budgets)]
    names = [goal.name for goal in goals]
    if not goals or min(len(set(names)), len({goal.budgets for goal in goals})) < len(goals):
        raise InputError(f"budgets: expected one or more, all different, got {names}.")
    return goals


def _goal_of(budget: Any) -> Goal:
    together = isinstance(budget, Sequence) and not isinstance(budget, (str, bytes))
    parts = [_part_of(part) for part in (budget if together else [budget])]
    if not parts:
        raise InputError("budget: expected at least one, got none.")
    return Goal("-".join(name for name, _ in parts), tuple(limit for _, limit in parts))


def _part_of(part: Any) -> tuple[str, Budget]:
    if isinstance(part, str):
        name = f"multiply_adds-{part}" if _SHARE.fullmatch(part) else part.replace("=", "-")
        return name, _read(part)
    if isinstance(part, bool) or not isinstance(part, (Real, Budget)):
        raise InputError(
            f"budget: expected a share, words or an asng.Budget, got {part!r}. Write 'multiply_adds=0.5', or "
            "a list of several that must all hold."
        )
    limit = part if isinstance(part, Budget) else Budget("multiply_adds", share=float(part))
    return f"{limit.name}-{limit.limit if limit.share is None else limit.share:g}", limit


def _read(words: str) -> Budget:
    if _SHARE.fullmatch(words):
        return Budget("multiply_adds", share=float(words.rstrip("%")) / (100.0 if "%" in words else 1.0))
    match = _WORDS.fullmatch(words)
    if match is None:
        raise InputError(
            f"budget: expected words such as 'multiply_adds=0.5' or 'latency=2ms', got {words!r}. Measures "
            f"are {', '.join(MEASURES)}. A number up to 1 without a unit is a share of what the model costs."
        )
    measure, number, unit = match["measure"], float(match["number"]), match["unit"]
    units = _UNITS[one_of("measure", measure, MEASURES)]
    if unit == "%":
        return Budget(measure, share=number / 100.0)
    if unit and unit not in units:
        raise InputError(f"budget: expected a unit of {measure}, {', '.join(units)}, or none, got {words!r}.")
    if unit or number > 1.0:
        return Budget(measure, limit=number * units.get(unit, 1.0))
    return Budget(measure, share=number)
