"""Find the largest and the smallest architecture of a space, and the one nearest to its budgets."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asng.nn import Choice, Supernet
from asng.space import Architecture, Categorical, Value, Variable

__all__ = ["climbed", "ends_of", "levels", "nearest", "whole"]

DRAWN = 50
"""Uniform draws that are tried if the descent from the smallest architecture does not meet the budgets."""
TRIED = 400
"""Most architectures tried in all, so that the check takes less time than a search."""


def ends_of(supernet: Supernet) -> tuple[Architecture, Architecture]:
    """Return the architectures with the largest and with the smallest values.

    For a choice of modules these are the modules with most and with fewest weights, for names the last and
    the first.

    Example:
        >>> from asng.nn import Linear
        >>> from asng.space import Integer
        >>> ends_of(Supernet(Linear(3, Integer(2, 8, label="width"))))
        (Architecture({'width': 8}), Architecture({'width': 2}))
    """
    weights = {
        module.names["choice"]: {
            value: sum(p.numel() for p in candidate.parameters())
            for value, candidate in zip(module.variable.choices, module.candidates.values(), strict=True)
        }
        for module in supernet.modules()
        if isinstance(module, Choice) and "choice" in module.names
    }
    ordered = {name: _by_size(v, weights.get(name, {})) for name, v in supernet.space.items()}
    return (
        Architecture({name: values[-1] for name, values in ordered.items()}),
        Architecture({name: values[0] for name, values in ordered.items()}),
    )


def _by_size(variable: Variable, weights: dict[Any, int]) -> list[Value]:
    if not isinstance(variable, Categorical):
        return [variable.low, variable.high]
    choices = list(variable.choices)
    if weights:
        return sorted(choices, key=lambda value: weights.get(value, 0))
    if all(isinstance(value, (int, float)) for value in choices):
        return sorted(choices, key=float)  # type: ignore[arg-type]
    return choices


def levels(variable: Variable) -> list[Value]:
    """Return the values of a variable to try in the search for the largest or cheapest architecture."""
    if isinstance(variable, Categorical):
        return list(variable.choices)
    return [variable.low, variable.high]


def climbed(
    start: Architecture,
    variables: Mapping[str, Variable],
    worths: Callable[[Sequence[Architecture]], Sequence[float]],
    worth: float,
) -> tuple[Architecture, float]:
    """Climb from an architecture by changing one variable at a time, and return the best one reached.

    Each variable in turn is set to the best of its levels, if that is better than its current value.

    Args:
        start: The architecture to begin with.
        variables: The variables that may be changed, by name.
        worths: Returns the worth of architectures; more is better.
        worth: The worth of the start.

    Returns:
        The best architecture and its worth.

    Example:
        >>> from asng.space import Integer
        >>> variables = {"width": Integer(2, 8), "depth": Integer(1, 3)}
        >>> sizes = lambda many: [a["width"] * a["depth"] for a in many]
        >>> climbed(Architecture({"width": 4, "depth": 1}), variables, sizes, 4)
        (Architecture({'width': 8, 'depth': 3}), 24)
    """
    best = start
    for name, variable in variables.items():
        others = [Architecture({**best, name: value}) for value in levels(variable)]
        others = [other for other in others if other != best]
        values = worths(others)
        if values and max(values) > worth:
            worth = max(values)
            best = others[values.index(worth)]
    return best, worth


def whole(supernet: Supernet, sizes: Callable[[Sequence[Architecture]], Sequence[float]]) -> Architecture:
    """Return the whole network: the largest values, and the choices with the most multiply-adds.

    Choices are changed one at a time, starting with those with most weights.

    Args:
        supernet: The supernet.
        sizes: Returns the multiply-adds of architectures.
    """
    choices = {n: v for n, v in supernet.space.items() if isinstance(v, Categorical)}
    largest = ends_of(supernet)[0]
    return climbed(largest, choices, sizes, sizes([largest])[0])[0] if choices else largest


def nearest(supernet: Supernet, excess: Callable[[Architecture], float]) -> Architecture:
    """Return an architecture within the budgets, or the one found that exceeds them the least.

    It tries the smallest first, and stops at the first that is within. It changes one variable at a time,
    first from the smallest, then from the best of some draws, because several budgets may conflict.

    Args:
        supernet: The supernet.
        excess: Returns how far an architecture is over the budgets, 0 if within them.
    """
    found: dict[Architecture, float] = {}

    def look(architectures: Sequence[Architecture]) -> list[float]:
        for architecture in architectures:
            if architecture not in found:
                if len(found) == TRIED:
                    raise _Enough
                found[architecture] = excess(architecture)
                if found[architecture] <= 0.0:
                    raise _Enough
        return [-found[architecture] for architecture in architectures]

    def descend(start: Architecture) -> None:
        worth, before = look([start])[0], float("-inf")
        while worth > before:
            before = worth
            start, worth = climbed(start, supernet.space, look, worth)

    try:
        descend(ends_of(supernet)[1])
        rng = random.Random(0)
        draws = list(dict.fromkeys(supernet.space.sample(rng) for _ in range(DRAWN)))
        descend(max(draws, key=dict(zip(draws, look(draws), strict=True)).__getitem__))
    except _Enough:
        pass
    return min(found, key=found.__getitem__)


class _Enough(Exception):
    """An architecture within the budgets was found, or enough were tried."""
