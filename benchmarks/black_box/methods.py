"""The compared searches, each with its defaults: from problem, seed and budget to losses in order."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import asng
from asng import Categorical, Integer, Space
from benchmarks.black_box.problems import Problem

__all__ = ["METHODS", "Search", "Suggested", "as_cmaes_has_it"]

Search = Callable[[Problem, int, int], list[float]]
"""From problem, seed and budget to the losses of all calls, in their order."""


class _Spent(Exception):
    """The budget is spent."""


class _Counted:
    """A loss that records its values."""

    def __init__(self, problem: Problem, budget: int) -> None:
        self._problem, self._budget, self.losses = problem, budget, list[float]()

    def __call__(self, a: Mapping[str, Any]) -> float:
        if len(self.losses) >= self._budget:
            raise _Spent
        loss = self._problem.loss(a)
        self.losses.append(loss)
        return loss


def minimize(problem: Problem, seed: int, budget: int) -> list[float]:
    """`asng.minimize` with its defaults."""
    f = _Counted(problem, budget)
    asng.minimize(f, problem.space, budget, seed=seed)
    return f.losses


def natural_gradient(problem: Problem, seed: int, budget: int) -> list[float]:
    """`asng.ASNG` alone, with its defaults and remembered losses."""
    f = _Counted(problem, budget)
    asng.minimize(f, problem.space, budget, optimizer=asng.ASNG(problem.space, seed=seed))
    return f.losses


def random(problem: Problem, seed: int, budget: int) -> list[float]:
    """Uniform points."""
    f, rng = _Counted(problem, budget), np.random.default_rng(seed)
    return [f(problem.space.sample(rng)) for _ in range(budget)]


class Suggested(Mapping[str, Any]):
    """Values that a trial suggests when they are read, as Optuna documents conditional variables."""

    def __init__(self, trial: Any, space: Space) -> None:
        self._trial, self._space = trial, space

    def __getitem__(self, name: str) -> Any:
        variable = self._space[name]
        if isinstance(variable, Categorical):
            return self._trial.suggest_categorical(name, list(variable.choices))
        suggest = self._trial.suggest_int if isinstance(variable, Integer) else self._trial.suggest_float
        return suggest(name, variable.low, variable.high, log=variable.log)

    def __iter__(self) -> Iterator[str]:
        return iter(self._space)

    def __len__(self) -> int:
        return len(self._space)


def tpe(problem: Problem, seed: int, budget: int) -> list[float]:
    """Optuna's default sampler."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    f = _Counted(problem, budget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(lambda trial: f(Suggested(trial, problem.space)), n_trials=budget)
    return f.losses


def as_cmaes_has_it(space: Space) -> tuple[dict[str, Any], Callable[[Any], dict[str, Any]]]:
    """Return the spaces for cmaes, and a function from its solutions to values; log=True is in logarithms."""
    given: dict[str, Any] = {}
    reals = {n: v for n, v in space.items() if isinstance(v, asng.Real)}
    integers = {n: v for n, v in space.items() if isinstance(v, Integer)}
    chosen = {n: v for n, v in space.items() if isinstance(v, Categorical)}
    if reals:
        given["x_space"] = [[v.encode(v.low), v.encode(v.high)] for v in reals.values()]
    if integers:
        given["z_space"] = [
            [v.encode(k) for k in range(v.low, v.high + 1, v.step)] for v in integers.values()
        ]
    if chosen:
        given["c_space"] = [len(v.choices) for v in chosen.values()]

    def values(solution: Any) -> dict[str, Any]:
        a: dict[str, Any] = {}
        if reals:
            a |= {n: v.decode(float(x)) for (n, v), x in zip(reals.items(), solution.x, strict=True)}
        if integers:
            z = np.ravel(solution.z)[: len(integers)]
            a |= {n: v.decode(float(x)) for (n, v), x in zip(integers.items(), z, strict=True)}
        if chosen:
            at = np.argmax(solution.c, axis=1)[: len(chosen)]
            a |= {n: v.choices[int(i)] for (n, v), i in zip(chosen.items(), at, strict=True)}
        return a

    return given, values


def catcmawm(problem: Problem, seed: int, budget: int) -> list[float]:
    """CatCMA with margin, of cmaes."""
    import cmaes

    given, values = as_cmaes_has_it(problem.space)
    es, f = cmaes.CatCMAwM(**given, seed=seed), _Counted(problem, budget)
    try:
        while True:
            told = []
            for _ in range(es.population_size):
                solution = es.ask()
                told.append((solution, f(values(solution))))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                es.tell(told)
    except _Spent:
        return f.losses


def nevergrad(problem: Problem, seed: int, budget: int) -> list[float]:
    """NGOpt over its own kinds of variables, as its documentation recommends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from libraries that it imports
        import nevergrad as ng

    def kind(v: Any) -> Any:
        if isinstance(v, Categorical):
            return ng.p.Choice(list(v.choices))
        scalar = (ng.p.Log if v.log else ng.p.Scalar)(lower=v.low, upper=v.high)
        return scalar.set_integer_casting() if isinstance(v, Integer) else scalar

    f = _Counted(problem, budget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parametrization = ng.p.Dict(**{n: kind(v) for n, v in problem.space.items()})
        parametrization.random_state.seed(seed)
        optimizer = ng.optimizers.NGOpt(parametrization=parametrization, budget=budget)
        for _ in range(budget):
            asked = optimizer.ask()
            optimizer.tell(asked, f(asked.value))
    return f.losses


def one_plus_one(problem: Problem, seed: int, budget: int) -> list[float]:
    """(1+1)-EA over choices: each changes with probability 1/D, at least one does."""
    f, rng, space = _Counted(problem, budget), np.random.default_rng(seed), problem.space
    best = dict(space.sample(rng))
    least = f(best)
    while len(f.losses) < budget:
        changed = rng.random(len(space)) < 1.0 / len(space)
        if not changed.any():
            changed[rng.integers(len(space))] = True
        new = dict(best)
        for (name, variable), change in zip(space.items(), changed, strict=True):
            while change and new[name] == best[name]:
                new[name] = variable.uniform(rng.random())
        loss = f(new)
        if loss <= least:
            best, least = new, loss
    return f.losses


METHODS: dict[str, Search] = {
    "minimize": minimize,
    "ASNG": natural_gradient,
    "random": random,
    "TPE": tpe,
    "CatCMAwM": catcmawm,
    "Nevergrad": nevergrad,
    "(1+1)-EA": one_plus_one,
}


def best_at(losses: list[float], counts: list[int]) -> list[float | None]:
    """Return the least loss of the first calls, for each count, or of all calls if a search ended sooner."""
    finite = [loss if math.isfinite(loss) else math.inf for loss in losses]
    return [min(finite[:n], default=None) for n in counts]
