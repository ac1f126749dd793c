"""How a cost enters the search: as a penalty on the objective, or as a hard budget."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, TypeAlias

from asng.checks import one_of, real_between
from asng.costs.measures import MEASURES, Measure, measure_of, name_of
from asng.errors import InputError

__all__ = [
    "Budget",
    "Cost",
    "Penalty",
    "budgets_of",
    "checked_costs",
    "excess",
    "in_numbers",
    "limit_of",
    "measures_of",
    "penalty",
]


@dataclass(frozen=True)
class Penalty:
    """Penalises architectures for what they cost above a target.

    It adds `weight * max(0, cost / target - 1)` to an objective that is minimised, and subtracts as much from
    one that is maximised. A cost of twice the target thus counts as `weight` of the objective.

    Args:
        measure: "parameters", "multiply_adds", "bytes", "activation_memory" (bytes), "latency" or
            "onnx_latency" (seconds), or a function `(child, inputs) -> float`.
        weight: The penalty on a cost of twice the target, in units of the objective, > 0.
        target: The cost up to which there is no penalty, > 0.
        share: Instead of a target, its share of what the whole network costs, in (0, 1]: see `Budget`.

    Raises:
        InputError: The measure is unknown, a number is out of its range, or not exactly one of target and
            share is given.

    Example:
        >>> Penalty("parameters", weight=0.1, target=10_000)
        Penalty(measure='parameters', weight=0.1, target=10000, share=None)
    """

    measure: str | Measure
    _: KW_ONLY
    weight: float
    target: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        measure_of(self.measure)
        real_between("weight", self.weight, 0.0, sys.float_info.max, open_low=True)
        _check_bound("target", self.target, self.share)
        _keep_plain(self, "weight", "target", "share")

    @property
    def name(self) -> str:
        """The name of the measure."""
        return name_of(self.measure)


@dataclass(frozen=True)
class Budget:
    """Ranks every architecture that costs more than a limit behind all within it.

    Args:
        measure: As in `Penalty`.
        limit: The largest cost that is within the budget, > 0.
        share: Instead of a limit, its share of what the whole network costs, in (0, 1]. The whole network
            has the largest value of every ordered variable. It has the choices with the most multiply-adds,
            as far as changing one at a time finds them. For a model converted by `asng.nn.searchable`, it is
            the original model.

    Raises:
        InputError: The measure is unknown, a number is out of its range, or not exactly one of limit and
            share is given.

    Example:
        >>> Budget("latency", limit=0.01), Budget("multiply_adds", share=0.5).share
        (Budget(measure='latency', limit=0.01, share=None), 0.5)
    """

    measure: str | Measure
    _: KW_ONLY
    limit: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        measure_of(self.measure)
        _check_bound("limit", self.limit, self.share)
        _keep_plain(self, "limit", "share")

    @property
    def name(self) -> str:
        """The name of the measure."""
        return name_of(self.measure)


Cost: TypeAlias = Penalty | Budget
"""How one measure enters the search."""


def _keep_plain(term: Cost, *names: str) -> None:
    """Replace numbers of NumPy by plain ones, which logs can hold."""
    for name in names:
        if type(value := getattr(term, name)) not in (int, float, type(None)):
            object.__setattr__(term, name, float(value))


def _check_bound(name: str, bound: object, share: object) -> None:
    """Raise unless exactly one of a bound and a share is given, and in its range."""
    if bound is not None and share is not None:
        raise InputError(f"{name}, share: expected one of them, got both, {bound!r} and {share!r}.")
    if share is None:
        if bound is None:
            raise InputError(
                f"{name}: expected a number, or in its place a share of what the whole network costs, got "
                f"neither. Give {name}= or share=."
            )
        real_between(name, bound, 0.0, sys.float_info.max, open_low=True)
        return
    try:
        real_between("share", share, 0.0, 1.0, open_low=True)
    except InputError as error:
        raise InputError(
            f"{error} It is a share of what the whole network costs: 0.5 for half of it. To give an absolute "
            f"cost, pass {name}=."
        ) from None


def budgets_of(limits: Mapping[str, float | str]) -> tuple[Budget, ...]:
    """Return budgets from plain settings: a number is a limit, a number with "%" a share.

    Args:
        limits: Limit or share by name of measure.

    Raises:
        InputError: A measure is unknown, or a limit is not a number or out of its range.

    Example:
        >>> parameters, latency = budgets_of({"parameters": "50%", "latency": 0.002})
        >>> parameters.share, latency.limit
        (0.5, 0.002)
    """
    if not isinstance(limits, Mapping):
        raise InputError(f"budget: expected limits by name of measure, got {limits!r:.80}.")
    return tuple(_budget_of(measure, limit) for measure, limit in limits.items())


def _budget_of(measure: str, limit: float | str) -> Budget:
    name = f"budget {one_of('budget', measure, MEASURES)}"
    try:
        if not isinstance(limit, str):
            return Budget(measure, limit=limit)
        number, percent, rest = limit.strip().partition("%")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not rest and percent:
            return Budget(measure, share=value / 100.0)
        if not rest:
            return Budget(measure, limit=value)
    except InputError as error:
        raise InputError(
            f"{name}: expected a number, or a share such as 50%, got {limit!r}. {error}"
        ) from None
    raise InputError(f"{name}: expected a number, or a share such as 50%, got {limit!r}.")


def in_numbers(costs: Iterable[Cost], whole: Mapping[str, float]) -> tuple[Cost, ...]:
    """Return terms with their shares turned into limits and targets.

    Args:
        costs: Terms, with or without shares.
        whole: What the whole network costs, by name of measure, at least for measures with a share.

    Raises:
        InputError: The whole network costs nothing, so that it has no share.

    Example:
        >>> in_numbers([Budget("parameters", share=0.5)], {"parameters": 30.0})
        (Budget(measure='parameters', limit=15.0, share=None),)
    """
    return tuple(cost if cost.share is None else _in_numbers(cost, whole[cost.name]) for cost in costs)


def _in_numbers(cost: Cost, whole: float) -> Cost:
    if whole <= 0.0:
        raise InputError(
            f"cost {cost.name!r}: expected the whole network to have a cost above 0, because the limit is a "
            f"share of it, got {whole:g}. Give an absolute number."
        )
    bound = (cost.share or 0.0) * whole
    if isinstance(cost, Budget):
        return replace(cost, limit=bound, share=None)
    return replace(cost, target=bound, share=None)


def limit_of(cost: Cost) -> float:
    """Return the limit of a budget or the target of a penalty, after `in_numbers`."""
    bound = cost.limit if isinstance(cost, Budget) else cost.target
    if bound is None:
        raise AssertionError(f"{cost}: still a share")
    return bound


def checked_costs(cost: "Cost | Iterable[Cost]") -> tuple[Cost, ...]:
    """Return one term or several as a tuple.

    Raises:
        InputError: One is neither a Penalty nor a Budget, or two different functions have one name.
    """
    several = () if isinstance(cost, (str, Mapping)) else Iterable  # a word is no sequence of terms
    costs: tuple[Any, ...] = tuple(cost) if isinstance(cost, several) else (cost,)
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
        (c.weight * max(0.0, values[c.name] / limit_of(c) - 1.0) for c in costs if isinstance(c, Penalty)),
        start=0.0,
    )


def excess(costs: Iterable[Cost], values: Mapping[str, float]) -> float:
    """Return how far the costs are over their budgets, as a sum of shares of the limits; 0 if within them.

    Example:
        >>> costs = Budget("parameters", limit=100), Budget("latency", limit=0.5)
        >>> excess(costs, {"parameters": 150.0, "latency": 1.0})
        1.5
    """
    pairs = [(values[cost.name], limit_of(cost)) for cost in costs if isinstance(cost, Budget)]
    return sum((value / limit - 1.0 for value, limit in pairs if value > limit), start=0.0)
