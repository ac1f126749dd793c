"""Convert Optuna's distributions to variables, and values between the two."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from asng.errors import SpaceError
from asng.space import Categorical, Integer, Real, Variable

__all__ = ["drawn_evenly", "fitted", "joined", "own_value", "raw_of", "returned", "variable_of"]


def joined(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """Return a distribution over all values of two of one kind; Optuna allows a name only one kind."""
    if one == other or isinstance(one, CategoricalDistribution):
        return one
    low, high = min(one.low, other.low), max(one.high, other.high)
    if isinstance(one, IntDistribution):
        step = math.gcd(one.step, other.step, abs(one.low - other.low))
        return IntDistribution(low, high, log=one.log, step=1 if one.log else step)
    alike = one.step is not None and one.step == other.step
    apart = (one.low - other.low) / one.step if alike else 0.0
    gap = one.step if alike and math.isclose(apart, round(apart), abs_tol=1e-9) else None
    return FloatDistribution(low, high, log=one.log, step=gap)


def variable_of(distribution: BaseDistribution) -> Variable:
    """Return the variable that stands for a distribution; for choices, a variable over their indices.

    Choices may be equal to Python, as 1 and True are. Integers and steps that floats cannot tell apart become
    reals. `returned` and `fitted` round those of integers: Optuna, too, stores their values as floats.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(range(len(distribution.choices)))
    low, high, log = distribution.low, distribution.high, distribution.log
    kind: Any = Integer if isinstance(distribution, IntDistribution) else Real
    with suppress(SpaceError):
        return kind(low, high, log=log, step=distribution.step)  # type: ignore[no-any-return]
    return Real(low, high, log=log)


def own_value(distribution: BaseDistribution, value: Any) -> Any:
    """Convert a trial's value to the variable's value."""
    if isinstance(distribution, CategoricalDistribution):
        return int(distribution.to_internal_repr(value))
    return value


def returned(distribution: BaseDistribution, value: Any) -> Any:
    """Convert a variable's value to the trial's value."""
    if isinstance(distribution, IntDistribution):
        low, step = distribution.low, distribution.step
        return min(low + step * round((value - low) / step), distribution.high)
    return distribution.choices[value] if isinstance(distribution, CategoricalDistribution) else value


def raw_of(variable: Integer | Real, value: float) -> float:
    """Return the raw coordinate of a value; one beyond the range, as Optuna enqueues it, is at the end."""
    value = min(max(value, variable.low), variable.high)
    return math.log(value) if variable.log else float(value)


def fitted(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of a distribution that is nearest to the given one."""
    if isinstance(distribution, CategoricalDistribution):
        return value
    variable = variable_of(distribution)
    assert not isinstance(variable, Categorical)
    return returned(distribution, variable.decode(raw_of(variable, value)))


def drawn_evenly(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Return a value drawn uniformly, on a log scale if the distribution has one."""
    return returned(distribution, variable_of(distribution).uniform(rng.random()))
