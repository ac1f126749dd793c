"""One run: a method on a problem with a seed, until a sampled point is good enough or the budget is spent."""

import math
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from asng.experiments.benchmark.methods import METHODS
from asng.experiments.benchmark.problems import PROBLEMS, Point, Problem
from asng.runs.stored import Count, Number, Stored
from asng.space import Categorical, Space

__all__ = ["BenchmarkCell", "Trial", "run_trial"]


class Trial(NamedTuple):
    """A run to do: a method on a problem with a seed and a budget.

    Attributes:
        problem: Name of the problem.
        method: Name of the method.
        seed: Seed of the method, of the label permutation and of the noise.
        budget: Largest number of evaluations.
    """

    problem: str
    method: str
    seed: int
    budget: int


class BenchmarkCell(Stored, frozen=True):
    """The result of a run of one method on one problem with one seed.

    Attributes:
        problem: Name of the problem.
        method: Name of the method.
        seed: Seed of the run.
        budget: Largest number of evaluations.
        hit: The first evaluation of a point that reaches the target; infinite if there was none.
        distinct: Number of different points.
        regret: Pairs of an evaluation and its true loss above the optimum, one for each new best point.
        microseconds: Time of ask and tell per evaluation.
        evaluated: Number of evaluations done.
        versions: Software versions.
        machine: The machine that it ran on.
    """

    problem: str
    method: str
    seed: int
    budget: Count
    hit: Number = math.inf
    distinct: int = 0
    regret: tuple[tuple[float, float], ...] = ()
    microseconds: Number = math.nan
    evaluated: int | None = None
    versions: Mapping[str, Any] = {}
    machine: Mapping[str, Any] = {}

    @property
    def trial(self) -> Trial:
        """The trial that was run."""
        return Trial(self.problem, self.method, self.seed, self.budget)


def run_trial(trial: Trial) -> BenchmarkCell:
    """Run a method on a problem with permuted labels, until it reaches the target or spends the budget."""
    problem = _made(trial.problem)
    method = METHODS[trial.method].make(problem.space, trial.seed, trial.budget, problem.noise > 0.0)
    labels = _Labels(problem.space, trial.seed)
    noise = np.random.default_rng([trial.seed, 1])
    seen: set[Point] = set()
    regret: list[tuple[int, float]] = []
    least, evaluated, hit, spent = float("inf"), 0, None, 0.0
    while hit is None and evaluated < trial.budget:
        clock = time.perf_counter()
        points = list(method.ask())
        spent += time.perf_counter() - clock
        true = [labels.true(point) for point in points]
        losses = [problem.loss(point) for point in true]
        for point, loss in zip(points, losses, strict=True):
            if hit is not None or evaluated == trial.budget:
                break
            evaluated += 1
            seen.add(point)
            if loss < least:
                least = loss
                regret.append((evaluated, round(loss - problem.optimum, 6)))
            if loss <= problem.target + 1e-9:
                hit = evaluated
        told = (
            [loss + problem.noise * noise.standard_normal() for loss in losses] if problem.noise else losses
        )
        active = [None if problem.read is None else problem.read(point) for point in true]
        clock = time.perf_counter()
        method.tell(points, told, active)
        spent += time.perf_counter() - clock
    return BenchmarkCell(
        *trial,
        hit=math.inf if hit is None else hit,
        distinct=len(seen),
        regret=tuple(regret),
        microseconds=round(1e6 * spent / evaluated, 1),
        evaluated=evaluated,
    )


@lru_cache(maxsize=2)
def _made(name: str) -> Problem:
    return PROBLEMS[name]()


class _Labels:
    """A permutation of the labels of each categorical, so that no method profits from their order."""

    def __init__(self, space: Space, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self._tables = [
            rng.permutation(len(v.choices)).tolist() if isinstance(v, Categorical) else None
            for v in space.values()
        ]

    def true(self, point: Point) -> Point:
        """Translate a point of the method to the point of the problem."""
        return tuple(
            value if table is None else table[value] for value, table in zip(point, self._tables, strict=True)
        )
