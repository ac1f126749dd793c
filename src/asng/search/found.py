"""Choosing the architecture to return, subject to budgets."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from asng.costs.meter import CostMeter
from asng.distributions import ThetaView
from asng.errors import RunError
from asng.optim import Optimizer
from asng.runs.events import CostLimit
from asng.space import Architecture, Space

__all__ = ["DRAWS", "Found", "best_within", "found_of", "likely", "nothing_within"]

DRAWS = 500
"""Number of draws. If one in a hundred is within the budget, they contain none in 0.7 % of cases."""


class Found(NamedTuple):
    """An architecture with its costs.

    Attributes:
        architecture: The architecture.
        cost: What it costs, by name of measure.
        excess: How far it is over the budgets; 0 if within them.
    """

    architecture: Architecture
    cost: dict[str, float]
    excess: float


def best_within(meter: CostMeter, theta: Optimizer) -> Found:
    """Return the mode of theta if it is within the budgets, else the likeliest draw from theta that is.

    If none is within, return the one that exceeds them the least.
    """
    nearest = found_of(meter, theta.best)
    for architecture in likely(theta.space, theta.theta) if nearest.excess > 0.0 else ():
        found = found_of(meter, architecture)
        if found.excess < nearest.excess:
            nearest = found
        if found.excess == 0.0:
            break
    return nearest


def nothing_within(limits: Iterable[CostLimit], cost: Mapping[str, float]) -> RunError:
    """Return the error for a search whose likely architectures are all over the budget.

    Args:
        limits: The budgets and penalties of the search.
        cost: The costs of the architecture that exceeds the budgets the least.
    """
    budgets = ", ".join(str(limit) for limit in limits if limit.kind == "budget")
    costs = ", ".join(f"{name} {value:g}" for name, value in cost.items())
    return RunError(
        f"cost: expected an architecture within the budget ({budgets}), got none among the most likely one "
        f"and {DRAWS} drawn from theta; the nearest has {costs}. Raise the limit (with a run_dir, "
        "resume=True then repeats no step), or widen the space."
    )


def likely(space: Space, theta: ThetaView, n: int = DRAWS) -> list[Architecture]:
    """Draw n architectures from theta, and return the distinct ones, the likeliest first.

    Each call makes its own generator with the same seed, so that the search is not disturbed and a resumed
    one finds the same. Ordered variables contribute the density at their value.

    Example:
        >>> from asng.optim import ASNG
        >>> from asng.space import Categorical
        >>> space = Space({"op": Categorical(["conv", "skip"])})
        >>> len(likely(space, ASNG(space).theta))
        2
    """
    rng = np.random.default_rng(0)
    raw, logs = np.empty((n, len(space))), np.zeros(n)
    for column, (name, variable) in enumerate(space.items()):
        parameters = theta[name]
        if isinstance(parameters, tuple):
            mean, std = parameters
            raw[:, column] = mean + std * rng.standard_normal(n)
            values = np.array([variable.encode(variable.decode(x)) for x in raw[:, column].tolist()])
            logs -= 0.5 * ((values - mean) / std) ** 2 if std > 0.0 else 0.0
        else:
            raw[:, column] = rng.choice(len(parameters), size=n, p=parameters / parameters.sum())
            logs += np.log(parameters[raw[:, column].astype(np.intp)])
    order = np.argsort(-logs, kind="stable")
    return list(dict.fromkeys(space.decode(raw[i]) for i in order))


def found_of(meter: CostMeter, architecture: Architecture) -> Found:
    """Return an architecture with its costs."""
    costs = meter.of(architecture)
    return Found(architecture, dict(costs.values), costs.excess)
