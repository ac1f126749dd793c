"""Methods of other libraries: CatCMA with and without margin (cmaes), TPE (Optuna), Nevergrad."""

import warnings
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from asng.checks import require
from asng.errors import InputError
from asng.experiments.benchmark.problems import Active, Point
from asng.space import Categorical, Integer, Space, Variable

__all__ = ["CatCMA", "CatCMAwM", "Nevergrad", "TPE"]


def _parts(space: Space) -> tuple[list[int], list[int], list[int], list[Integer]]:
    """Return positions and sizes of the categoricals, and positions and variables of the integers."""
    choices = [i for i, v in enumerate(space.values()) if isinstance(v, Categorical)]
    ordered = [i for i, v in enumerate(space.values()) if isinstance(v, Integer)]
    variables = list(space.values())
    return (
        choices,
        [int(variables[i].size) for i in choices],
        ordered,
        [v for v in variables if isinstance(v, Integer)],
    )


def _merged(
    places: Sequence[int], values: Sequence[int], more: Sequence[int], others: Sequence[int]
) -> Point:
    found = dict(zip(places, values, strict=True)) | dict(zip(more, others, strict=True))
    return tuple(found[i] for i in range(len(found)))


class CatCMAwM:
    """CatCMA with margin, with the defaults of cmaes, or with `times` its default population.

    References:
        Hamano et al., "CatCMA with margin", GECCO 2025; cmaes.
    """

    def __init__(self, space: Space, seed: int, *, times: int = 1) -> None:
        cmaes = require("cmaes", extra="benchmark")
        self._choices, sizes, self._ordered, integers = _parts(space)
        given: dict[str, Any] = {"seed": seed}
        if sizes:
            given["c_space"] = sizes
        if integers:
            given["z_space"] = [list(range(v.low, v.high + 1)) for v in integers]
        self._es = cmaes.CatCMAwM(**given)
        if times > 1:
            self._es = cmaes.CatCMAwM(**given, population_size=times * self._es.population_size)
        self._asked: list[Any] = []

    def ask(self) -> list[Point]:
        """Return a generation."""
        self._asked = [self._es.ask() for _ in range(self._es.population_size)]
        return [self._point(solution) for solution in self._asked]

    def _point(self, solution: Any) -> Point:
        chosen = [] if solution.c is None else np.argmax(solution.c, axis=1).tolist()
        integers = [] if solution.z is None else [round(z) for z in np.ravel(solution.z)]
        return _merged(
            self._choices, chosen[: len(self._choices)], self._ordered, integers[: len(self._ordered)]
        )

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from a generation."""
        self._es.tell(list(zip(self._asked, losses, strict=True)))


class CatCMA:
    """CatCMA with integers as rounded reals; it needs categoricals and integers.

    Without integers, CatCMAwM is the same method.

    References:
        Hamano et al., "CatCMA: Stochastic optimization for mixed-category problems", GECCO 2024; cmaes.
    """

    def __init__(self, space: Space, seed: int) -> None:
        cmaes = require("cmaes", extra="benchmark")
        self._choices, sizes, self._ordered, integers = _parts(space)
        if not (integers and sizes):
            raise InputError("CatCMA: expected categoricals and integers, got only one kind. Use CatCMAwM.")
        bounds = np.array([[v.low, v.high] for v in integers], dtype=float)
        mean, sigma = bounds.mean(axis=1), float(np.mean(bounds[:, 1] - bounds[:, 0])) / 4
        self._es = cmaes.CatCMA(mean=mean, sigma=sigma, cat_num=np.array(sizes), bounds=bounds, seed=seed)
        self._asked: list[Any] = []

    def ask(self) -> list[Point]:
        """Return a generation."""
        self._asked = [self._es.ask() for _ in range(self._es.population_size)]
        return [
            _merged(
                self._choices, np.argmax(c, axis=1).tolist(), self._ordered, [round(v) for v in x.tolist()]
            )
            for x, c in self._asked
        ]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from a generation."""
        self._es.tell(list(zip(self._asked, losses, strict=True)))


class TPE:
    """Optuna's tree-structured Parzen estimator, at its defaults or multivariate.

    References:
        Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011; Optuna.
    """

    def __init__(self, space: Space, seed: int, *, multivariate: bool = False) -> None:
        self._space, optuna = space, require("optuna", extra="benchmark")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns that multivariate is experimental
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=multivariate)
        self._study = optuna.create_study(sampler=sampler)
        self._trial: Any = None

    def ask(self) -> list[Point]:
        """Return one point."""
        trial = self._trial = self._study.ask()
        return [
            tuple(
                trial.suggest_categorical(name, list(v.choices))
                if isinstance(v, Categorical)
                else trial.suggest_int(name, v.low, v.high)
                for name, v in self._space.items()
            )
        ]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from one point."""
        self._study.tell(self._trial, losses[0])


class Nevergrad:
    """A Nevergrad optimiser over integer arrays, one for each run of equal variables.

    The arrays are bounded by Nevergrad's method "gaussian", which maps the normal numbers that its discrete
    mutations draw to uniform integers. With its other methods, and with integer scalars, the ends of a range
    are rare.

    Args:
        space: The search space.
        seed: Seed of the generator.
        budget: Number of evaluations; some optimisers choose their strategy by it.
        name: Name of the optimiser.
        choice: Pass categoricals as Nevergrad's `Choice` instead, a softmax with one number per choice.

    References:
        Bennet et al., "Nevergrad: black-box optimization platform", SIGEVOlution 14, 2021.
    """

    def __init__(self, space: Space, seed: int, *, budget: int, name: str, choice: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # raised by libraries that it imports
            ng = require("nevergrad", extra="benchmark")

        def part(variable: Variable, times: int) -> Any:
            if choice and isinstance(variable, Categorical):
                return ng.p.Choice(list(variable.choices), repetitions=times)
            low, high = _ends(variable)
            array = ng.p.Array(init=np.full(times, (low + high) / 2))
            # Just under one half, so that a value at the bound is not rounded beyond the range.
            return array.set_bounds(low - 0.499, high + 0.499, method="gaussian").set_integer_casting()

        alike = [list(run) for _, run in groupby(space.values())]
        parametrization = ng.p.Tuple(*(part(run[0], len(run)) for run in alike))
        parametrization.random_state.seed(seed)
        self._optimizer = ng.optimizers.registry[name](parametrization=parametrization, budget=budget)
        self._asked: Any = None

    def ask(self) -> list[Point]:
        """Return one point."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._asked = self._optimizer.ask()
        return [tuple(int(value) for values in self._asked.value for value in values)]

    def tell(self, points: Sequence[Point], losses: Sequence[float], active: Sequence[Active]) -> None:
        """Learn from one point."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optimizer.tell(self._asked, losses[0])


def _ends(variable: Variable) -> tuple[int, int]:
    """Return the smallest and the largest value; choices are numbered from 0."""
    return (variable.low, variable.high) if isinstance(variable, Integer) else (0, int(variable.size) - 1)
