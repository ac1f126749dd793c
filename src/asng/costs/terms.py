"""How a cost enters the search: as a penalty on the objective, or as a hard budget."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

from asng.checks import real_between
from asng.costs.measures import Measure, measure_of, name_of
from asng.errors import InputError

__all__ = ["Budget", "Cost", "Penalty", "checked_costs", "excess", "measures_of", "penalty"]


@dataclass(frozen=True)
class Penalty:
    """Makes architectures worse by what they cost over a target.

    It adds `weight * max(0, cost / target - 1)` to an objective that is minimised, and takes as much off
    one that is maximised. A cost at twice the target thus counts as `weight` of the objective.

    Args:
        measure: "parameters", "multiply_adds", "activation_memory" (bytes), "latency" (seconds), or a
            function `(child, inputs) -> float`.
        weight: What a cost of twice the target is worth, in units of the objective, > 0.
        target: The cost up to which nothing is added, > 0.

    Raises:
        InputError: The measure is unknown, or a number is out of its range.

    Example:
        >>> Penalty("parameters", weight=0.1, target=10_000)
        Penalty(measure='parameters', weight=0.1, target=10000)
    """

    measure: str | Measure
    _: KW_ONLY
    weight: float
    target: float

    def __post_init__(self) -> None:
        measure_of(self.measure)
        real_between("weight", self.weight, 0.0, sys.float_info.max, open_low=True)
        real_between("target", self.target, 0.0, sys.float_info.max, open_low=True)

    @property
    def name(self) -> str:
        """What the measure is called."""
        return name_of(self.measure)


@dataclass(frozen=True)
class Budget:
    """Ranks every architecture that costs more than a limit behind all within it.

    Args:
        measure: As in `Penalty`.
        limit: The greatest cost that is within the budget, > 0.

    Raises:
        InputError: The measure is unknown, or the limit out of its range.

    Example:
        >>> Budget("latency", limit=0.01)
        Budget(measure='latency', limit=0.01)
    """

    measure: str | Measure
    _: KW_ONLY
    limit: float

    def __post_init__(self) -> None:
        measure_of(self.measure)
        real_between("limit", self.limit, 0.0, sys.float_info.max, open_low=True)

    @property
    def name(self) -> str:
        """What the measure is called."""
        return name_of(self.measure)


Cost: TypeAlias = Penalty | Budget
"""How one measure enters the search."""


def checked_costs(cost: "Cost | Iterable[Cost]") -> tuple[Cost, ...]:
    """Return one term or several as a tuple.

    Raises:
        InputError: One is neither a Penalty nor a Budget, or two different functions have one name.
    """
    costs = (cost,) if isinstance(cost, (Penalty, Budget)) or not isinstance(cost, Iterable) else tuple(cost)
    named: dict[str, Measure] = {}
    for term in costs:
        if not isinstance(term, (Penalty, Budget)):
            raise InputError(
                f"cost: expected asng.Penalty or asng.Budget, or a sequence of them, got {term!r}. "
                "Write for instance asng.Budget('parameters', limit=100_000)."
            )
        name, measure = term.name, measure_of(term.measure)
        if named.setdefault(name, measure) != measure:
            raise InputError(
                f"cost: expected a name for each measure, got two measures named {name!r}. Define them by "
                "`def` with names of their own."
            )
    return costs


def measures_of(costs: Iterable[Cost]) -> dict[str, Measure]:
    """Return all measures by name."""
    return {cost.name: measure_of(cost.measure) for cost in costs}


def penalty(costs: Iterable[Cost], values: Mapping[str, float]) -> float:
    """Return what the penalties add to an objective that is minimised.

    Example:
        >>> cost = Penalty("parameters", weight=0.5, target=100)
        >>> penalty([cost], {"parameters": 150.0}), penalty([cost], {"parameters": 50.0})
        (0.25, 0.0)
    """
    return sum(
        (c.weight * max(0.0, values[c.name] / c.target - 1.0) for c in costs if isinstance(c, Penalty)),
        start=0.0,
    )


def excess(costs: Iterable[Cost], values: Mapping[str, float]) -> float:
    """Return by how much the costs are over their budgets, as a sum of shares of the limits; 0 within.

    Example:
        >>> costs = Budget("parameters", limit=100), Budget("latency", limit=0.5)
        >>> excess(costs, {"parameters": 150.0, "latency": 1.0})
        1.5
    """
    pairs = [(values[cost.name], cost.limit) for cost in costs if isinstance(cost, Budget)]
    return sum((value / limit - 1.0 for value, limit in pairs if value > limit), start=0.0)
